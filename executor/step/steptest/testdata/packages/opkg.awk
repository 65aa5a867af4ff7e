# What opkg does: it works through its list, keeps what was done when one thing
# fails, and tries at the end to configure whatever is not.

function run(    i, name, f, n, v) {
	if (there("denied")) die("Collected errors:\n * opkg_conf_load: Could not lock /var/lock/opkg.lock: Permission denied.", 255)
	if (there("lock")) die("Collected errors:\n * opkg_conf_load: Could not lock /var/lock/opkg.lock: Resource temporarily unavailable.", 255)
	if (verb == "update" && !args) {
		allow("")
		print "Downloading http://feed/Packages.gz"
		if (dead) { print "*** Failed to download the package list from http://feed/Packages.gz\n"; done(1) }
		if (there("forged")) { print "Signature check failed.\nRemove wrong Signature file."; done(0) }
	} else if (verb == "configure") {
		allow("")
		configure()
		store(root "/installed")
	} else if (verb == "list-installed" && !args) {
		for (name in has) print name " - " has[name]
	} else if (verb == "list" && args == 1) {
		n = split(all[arg[1]], v, " ")
		for (i = 1; i <= n; i++) print arg[1] " - " v[i] " - a package"
	} else if (verb == "status" && !args) {
		for (name in has) stanza(name, has[name], 0)
	} else if (verb == "info" && args == 1) {
		n = split(all[arg[1]], v, " ")
		for (i = 1; i <= n; i++) stanza(arg[1], v[i], 1)
		if (arg[1] in has && !((arg[1], has[arg[1]]) in offers)) stanza(arg[1], has[arg[1]], 0)
	} else if (verb == "list-upgradable") {
		for (name in has) if (name in best && newer(best[name], has[name])) print name " - " has[name] " - " best[name]
	} else if (verb == "compare-versions" && args == 3 && arg[2] == ">>") {
		done(newer(arg[1], arg[3]) ? 0 : 1)
	} else if (verb ~ /^(install|remove|upgrade)$/ && args > 0) {
		allow("--force-downgrade --force-removal-of-dependent-packages")
		for (i = 1; i <= args; i++) {
			if (verb == "remove") remove(arg[i]); else put(arg[i])
		}
		if (verb != "remove") configure()
		store(root "/installed")
	} else usage()
	if (failed) die("Collected errors:" errors, 255)
}

function complain(text) { failed = 1; errors = errors "\n * " text }

function stanza(name, version, feed) {
	print "Package: " name "\nVersion: " version
	if (provided[name, version] != "") { gsub(/^ /, "", provided[name, version]); gsub(/ /, ", ", provided[name, version]); print "Provides: " provided[name, version] }
	if (name in has && has[name] == version) print "Status: install " (is[name, "hold"] ? "hold" : "user") " " (is[name, "unpacked"] ? "unpacked" : "installed")
	else print "Status: unknown ok not-installed"
	if (feed) print "Filename: " name "_" version ".ipk"
	print ""
}

function put(asked,    name, version, p, f, n, i) {
	name = offeredAs(asked)
	if (name == "" || asked ~ /=/) {
		if (asked in has) return
		print "Unknown package '" asked "'."
		complain("opkg_install_cmd: Cannot install package " asked ".")
		return
	}
	version = best[name]
	if (name in has && has[name] == version) { print "Package " name " (" version ") installed in root is up to date."; return }
	if (verb == "upgrade" && is[name, "hold"]) { print "Not upgrading package " name " which is marked hold (flags=0x4)."; return }
	if (name in has && newer(has[name], version) && !flag["--force-downgrade"]) return
	if (!unpack(name, version)) complain("opkg_install_cmd: Cannot install package " asked ".")
}

function unpack(name, version,    p, f, n, i, before) {
	n = split(foes[name, version], f, " ")
	for (i = 1; i <= n; i++) if (f[i] in has && !index(replaced[name, version] " ", " " f[i] " ")) {
		complain("check_conflicts_for: The following packages conflict with " name ":\n * check_conflicts_for: \t" f[i] " * ")
		return 0
	}
	n = split(needs[name, version], f, " ")
	for (i = 1; i <= n; i++) if (whoProvides(f[i]) == "") {
		p = offeredAs(f[i])
		if (p == "") { complain("satisfy_dependencies_for: Cannot satisfy the following dependencies for " name ":\n * \t" f[i] " * "); return 0 }
		if (!unpack(p, best[p])) return 0
	}
	if (used() + size[name, version] > room) {
		complain("verify_pkg_installable: Only have " room - used() "kb available on filesystem /, pkg " name " needs " size[name, version])
		return 0
	}
	if (there("offline")) { complain("opkg_install_pkg: Failed to download " name ". Perhaps you need to run 'opkg update'?"); return 0 }
	print "Installing " name " (" version ") to root..."
	n = split(replaced[name, version], f, " ")
	for (i = 1; i <= n; i++) { print "Removing package " f[i] " from root..."; delete has[f[i]] }
	has[name] = version
	is[name, "unpacked"] = 1; is[name, "hold"] = 0
	return 1
}

function configure(    name) {
	for (name in has) if (is[name, "unpacked"]) {
		print "Configuring " name "."
		if (fails[name, has[name]]) {
			complain("pkg_run_script: package \"" name "\" postinst script returned status 3.\n * opkg_configure: " name ".postinst returned 3.")
		} else is[name, "unpacked"] = 0
	}
}

function needed(name,    other) {
	for (other in has) if (index(needs[other, has[other]] " ", " " name " ")) return other
	return ""
}

function remove(name,    by) {
	if (!(name in has)) { print "No packages removed."; return }
	while ((by = needed(name)) != "" && flag["--force-removal-of-dependent-packages"]) remove(by)
	if (by != "") {
		complain("print_dependents_warning: Package " name " is depended upon by packages:\n * print_dependents_warning: \t" by "\n * print_dependents_warning: These might cease to work if package " name " is removed.\n\n * print_dependents_warning: Force removal of this package with --force-depends.\n * print_dependents_warning: Force removal of this package and its dependents\n * print_dependents_warning: with --force-removal-of-dependent-packages.")
		print "No packages removed."
		return
	}
	print "Removing package " name " from root..."
	delete has[name]
	is[name, "unpacked"] = is[name, "hold"] = 0
}
