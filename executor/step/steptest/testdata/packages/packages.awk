# A stand-in for opkg and apk. Below the root, which is its first option, lie
# feed (what can be had: name, version, dependencies), installed (name, version
# and, when it was cut, unpacked), for apk world, and while it is locked, lock.

BEGIN {
	if (ARGV[1] != (manager == "opkg" ? "-o" : "--root")) usage()
	root = ARGV[2]; n = 3
	if (manager == "apk" && (ARGV[n++] != "--wait" || ARGV[n++] !~ /^[0-9]+$/)) usage()
	for (; ARGV[n] ~ /^--/; n++) flag[ARGV[n]] = 1
	verb = ARGV[n++]
	for (; ARGV[n] ~ /^--/; n++) flag[ARGV[n]] = 1
	for (; n < ARGC; n++) arg[++args] = ARGV[n]
	if ((getline line < (root "/lock")) >= 0)
		die(manager == "opkg" ? " * opkg_conf_load: Could not lock /var/lock/opkg.lock: Resource temporarily unavailable." : "ERROR: Unable to lock database: temporary error")
	load()
	if (manager == "opkg") opkg(); else apk()
	exit failed ? 255 : 0
}

function say(text) { print text | "cat >&2"; close("cat >&2") }
function die(text) { say(text); exit 255 }
function usage() { die(manager ": wrong arguments") }

function load(    line, f, n, i) {
	while ((getline line < (root "/feed")) > 0) {
		n = split(line, f, " ")
		if (!(f[1] in best)) order[++feeds] = f[1]
		best[f[1]] = f[2]; offers[f[1], f[2]] = 1; all[f[1]] = all[f[1]] " " f[2]
		for (i = 3; i <= n; i++) needs[f[1]] = needs[f[1]] " " f[i]
	}
	while ((getline line < (root "/installed")) > 0) {
		n = split(line, f, " ")
		has[f[1]] = f[2]; if (n > 2) cut[f[1]] = 1
	}
	while ((getline line < (root "/world")) > 0) { split(line, f, "="); world[f[1]] = substr(line, length(f[1]) + 1) }
}

# store writes sorted, so that the same packages are the same bytes.
function store(set, file, sep,    name, cmd) {
	printf "" > file
	cmd = "LC_ALL=C sort > " file
	for (name in set) print name sep set[name] | cmd
	close(cmd)
}

function save() { store(has, root "/installed", " "); if (manager == "apk") store(world, root "/world", "") }

function install(name, version,    f, n, i) {
	n = split(needs[name], f, " ")
	for (i = 1; i <= n; i++) if (!(f[i] in has)) install(f[i], best[f[i]])
	has[name] = version
	delete cut[name]
}

function needed(name,    other, f, n, i) {
	for (other in has) {
		n = split(needs[other], f, " ")
		for (i = 1; i <= n; i++) if (f[i] == name) return other
	}
}

function opkg(    i, name, by) {
	if (verb == "update" || verb == "configure") {
		if (args > 0) usage()
		if (verb == "configure") { delete cut; save() }
	} else if (verb == "list-installed") {
		for (name in has) if (!(name in cut)) print name " - " has[name]
	} else if (verb == "list-upgradable") {
		for (name in has) if (best[name] != has[name]) print name " - " has[name] " - " best[name]
	} else if (verb == "list") {
		if (args == 1 && arg[1] in best) { n = split(all[arg[1]], v, " "); for (i = 1; i <= n; i++) print arg[1] " - " v[i] " - a package" }
	} else if (verb ~ /^(install|remove|upgrade)$/ && args > 0) {
		for (i = 1; i <= args; i++) {
			name = arg[i]
			if (name ~ /=/ || verb != "remove" && !(name in best)) {
				print "Unknown package '" name "'."
				say("Collected errors:\n * opkg_install_cmd: Cannot install package " name ".")
				failed = 1
			} else if (verb != "remove") install(name, best[name])
			else if (by = needed(name)) { say(" * print_dependents_warning: Package " name " is depended upon by " by); failed = 1 }
			else delete has[name]
		}
		save()
	} else usage()
}

function apk(    i, name, f, keep, again) {
	if (verb == "update" && !args) return
	if (verb == "list" && flag["--installed"] && !args) {
		for (name in has) print name "-" has[name] " mipsel_24kc {" name "} (GPL-2.0) [installed]"
		return
	}
	if (verb !~ /^(add|del|upgrade)$/ || verb != "upgrade" && !args) usage()
	if (verb == "upgrade" && !args) for (name in has) if (world[name] == "" && name in best) has[name] = best[name]
	for (i = 1; i <= args; i++) {
		split(arg[i], f, "=")
		name = f[1]
		if (verb == "del") { delete world[name]; continue }
		if (!(name in best) || f[2] != "" && !((name, f[2]) in offers))
			die("ERROR: unable to select packages:\n  " name " (no such package):\n    required by: world[" arg[i] "]")
		if (verb == "add") world[name] = substr(arg[i], length(name) + 1)
		if (verb == "upgrade" || !(name in has) || f[2] != "") install(name, f[2] == "" ? best[name] : f[2])
	}
	if (verb == "del") {
		do {
			again = 0
			for (name in has) if (!(name in world) && !needed(name)) { delete has[name]; again = 1; break }
		} while (again)
	}
	save()
}
