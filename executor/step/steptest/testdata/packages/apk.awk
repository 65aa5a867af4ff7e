# What apk does: whatever it is told changes world, and then it makes the device as
# world says, all of it, what failed before too. World is written even where that fails.

function run(    i, name) {
	if (there("denied")) die("ERROR: Unable to lock database: Permission denied\nERROR: Failed to open apk database: Permission denied", 99)
	if (there("lock")) die("ERROR: Unable to lock database: Resource temporarily unavailable\nERROR: Failed to open apk database: Resource temporarily unavailable", 99)
	if (dead) say("WARNING: opening /feed/packages.adb: No such file or directory")
	if (verb == "update" && !args) {
		print "OK: " feeds + 0 " distinct packages available"
	} else if (verb == "list" && flag["--installed"] && !args) {
		for (name in has) print name "-" has[name] " mipsel_24kc {" name "} (GPL-2.0) [installed]"
	} else if (verb == "list" && flag["--upgradable"] && !args) {
		for (name in has) if (name in best && newer(best[name], has[name])) print name "-" best[name] " mipsel_24kc {" name "} (GPL-2.0) [upgradable from: " name "-" has[name] "]"
	} else if (verb == "info" && flag["--exists"] && args == 1) {
		name = whoProvides(entry(arg[1]))
		if (name == "" || arg[1] ~ /=/ && arg[1] != name "=" has[name]) done(1)
		print name
	} else if (verb == "policy" && args == 1) {
		policy(arg[1])
	} else if (verb ~ /^(add|upgrade)$/ || verb == "del" && args > 0) {
		allow("--simulate --upgrade --rdepends")
		change()
	} else usage()
}

function policy(name,    v, n, i) {
	print name " policy:"
	n = split(all[name], v, " ")
	if (name in has && !((name, has[name]) in offers)) v[++n] = has[name]
	for (i = 1; i <= n; i++) {
		print "  " v[i] ":"
		if (name in has && has[name] == v[i]) print "    lib/apk/db/installed"
		if ((name, v[i]) in offers) print "    /feed/packages.adb"
	}
}

function change(    i, name, by) {
	for (i = 1; i <= args; i++) {
		name = entry(arg[i])
		if (verb == "add") { world[name] = arg[i]; sub(/@.*/, "", world[name]); if (flag["--upgrade"]) up[name] = 1 }
		if (verb == "upgrade") up[name] = 1
		if (verb == "del") { delete world[name]; if (flag["--rdepends"]) for (by in has) if (index(needs[by, has[by]] " ", " " name " ")) delete world[by] }
	}
	everything = verb == "upgrade" && !args
	for (name in world) pick(name, world[name], "world[" world[name] "]")
	for (name in chosen) conflicts(name)
	if (wrong != "") die("ERROR: unable to select packages:" wrong, 1)
	if (verb == "del") for (i = 1; i <= args; i++) if (arg[i] in chosen) print "World updated, but the following packages are not removed due to:\n  " arg[i] ": " chosen[arg[i]]
	commit()
	if (flag["--simulate"]) return
	store(root "/installed")
	if (verb != "upgrade") store(root "/world")
	if (failures) { print failures " error; 1 MiB in 1 packages"; done(1) }
	print "OK: 1 MiB in 1 packages"
}

# pick chooses a version of what is called so, and of all that it needs.
function pick(asked, want, by,    name, v, f, n, i) {
	name = offeredAs(asked)
	if (whoProvides(asked) != "") name = whoProvides(asked)
	if (name == "") { wrong = wrong "\n  " asked " (no such package):\n    required by: " by; return }
	if (want ~ /=/) {
		v = want; sub(/^[^=]*=/, "", v)
		if (!((name, v) in offers) && !(name in has && has[name] == v)) { wrong = wrong "\n  " name "-" best[name] ":\n    breaks: " by; return }
	} else if (want ~ /></ && name in has) v = has[name]
	else if ((name in up || everything) && name in best && (!(name in has) || newer(best[name], has[name]))) v = best[name]
	else v = name in has ? has[name] : best[name]
	if (name in chosen) { if (want ~ /=/) version[name] = v; return }
	chosen[name] = by; version[name] = v
	n = split(needs[name, v], f, " ")
	for (i = 1; i <= n; i++) pick(f[i], f[i], name)
}

function conflicts(name,    f, n, i) {
	n = split(foes[name, version[name]], f, " ")
	for (i = 1; i <= n; i++) if (f[i] in chosen) wrong = wrong "\n  " f[i] "-" version[f[i]] ":\n    breaks: " name "-" version[name] "[!" f[i] "]\n    satisfies: " chosen[f[i]]
}

# commit removes first, and goes on where something cannot be installed.
function commit(    name, id) {
	for (name in has) if (!(name in chosen)) { print "(1/1) Purging " name " (" has[name] ")"; gone[name] = 1 }
	if (flag["--simulate"]) return
	for (name in gone) delete has[name]
	for (name in chosen) if (!(name in has) || has[name] != version[name]) {
		id = name "-" version[name]
		print "(1/1) Installing " name " (" version[name] ")"
		if (used() + size[name, version[name]] > room) {
			say("ERROR: " id ": failed to extract usr/share/" name "/data: No space left on device\nERROR: " id ": No space left on device")
			failures++
			continue
		}
		has[name] = version[name]
		if (fails[name, version[name]]) { print "  Executing " id ".post-install"; say("ERROR: lib/apk/exec/" id ".post-install: exited with error 127"); failures++ }
	}
}
