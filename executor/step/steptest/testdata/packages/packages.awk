# A stand-in for opkg and apk, with the words and exit statuses of opkg-lede and of
# apk-tools 3.0.6. Below the root, which is its first option, lie
#   feed       what can be had: name, version, and what it is about: dependencies,
#              !conflict, +provided, -replaced, #size, and ? where its postinst fails
#   installed  name, version, and what is true of it: unpacked, hold
#   world      what apk is to keep
# and, each where it is so: lock, denied, dead (a source), room (of the disk).

BEGIN {
	if (ARGV[1] != (manager == "opkg" ? "-o" : "--root")) usage()
	root = ARGV[2]
	n = 3
	for (; n < ARGC; n++) {
		if (ARGV[n] == "--wait") n++
		else if (ARGV[n] ~ /^--/) flag[ARGV[n]] = 1
		else if (verb == "") verb = ARGV[n]
		else arg[++args] = ARGV[n]
	}
	dead = there("dead")
	load()
	run()
	done(0)
}

function there(name,    line) { return (getline line < (root "/" name)) >= 0 }
function say(text) { print text | "cat >&2"; close("cat >&2") }
function done(status) { fflush(); exit (ended == "" ? (ended = status) : ended) }
function die(text, status) { say(text); done(status) }
function usage() { die(manager ": wrong arguments", 64) }

# allow ends it where there are other flags than those.
function allow(flags,    f) {
	for (f in flag) if (index(" " flags " ", " " f " ") == 0) usage()
}

# about reads what stands behind a name and a version.
function about(id, f, n,    i, sign, rest) {
	for (i = 3; i <= n; i++) {
		sign = substr(f[i], 1, 1); rest = substr(f[i], 2)
		if (sign == "!") foes[id] = foes[id] " " rest
		else if (sign == "+") provided[id] = provided[id] " " rest
		else if (sign == "-") replaced[id] = replaced[id] " " rest
		else if (sign == "#") size[id] = rest
		else if (sign == "?") fails[id] = 1
		else needs[id] = needs[id] " " f[i]
	}
}

function load(    line, f, n, i) {
	while (!dead && (getline line < (root "/feed")) > 0) {
		n = split(line, f, " ")
		if (!(f[1] in best)) order[++feeds] = f[1]
		if (!(f[1] in best) || newer(f[2], best[f[1]])) best[f[1]] = f[2]
		offers[f[1], f[2]] = 1
		all[f[1]] = all[f[1]] " " f[2]
		about(f[1] SUBSEP f[2], f, n)
	}
	while (dead && (getline line < (root "/feed")) > 0) { n = split(line, f, " "); about(f[1] SUBSEP f[2], f, n) }
	while ((getline line < (root "/installed")) > 0) {
		n = split(line, f, " ")
		has[f[1]] = f[2]
		for (i = 3; i <= n; i++) is[f[1], f[i]] = 1
	}
	while ((getline line < (root "/world")) > 0) if (line != "") world[entry(line)] = line
	if ((getline room < (root "/room")) <= 0) room = 1e9
}

function entry(text) { sub(/[=<>~@].*/, "", text); return text }

# newer compares versions number by number.
function newer(a, b,    x, y, n, m, i) {
	n = split(a, x, /[^0-9]+/); m = split(b, y, /[^0-9]+/)
	for (i = 1; i <= n || i <= m; i++) if (x[i] + 0 != y[i] + 0) return x[i] + 0 > y[i] + 0
	return 0
}

function used(    name, sum) { for (name in has) sum += size[name, has[name]]; return sum }

# store writes sorted, so that the same packages are the same bytes.
function store(file,    name, cmd, text) {
	printf "" > file
	cmd = "LC_ALL=C sort > " file
	if (file ~ /world$/) for (name in world) print world[name] | cmd
	else for (name in has) print name " " has[name] (is[name, "unpacked"] ? " unpacked" : "") (is[name, "hold"] ? " hold" : "") | cmd
	close(cmd)
}

# whoProvides is an installed package of that name, or that stands for it.
function whoProvides(name,    p) {
	if (name in has) return name
	for (p in has) if (index(provided[p, has[p]] " ", " " name " ")) return p
	return ""
}

# offeredAs is what of the feed has that name, or stands for it.
function offeredAs(name,    i) {
	if (name in best) return name
	for (i = 1; i <= feeds; i++) if (index(provided[order[i], best[order[i]]] " ", " " name " ")) return order[i]
	return ""
}
