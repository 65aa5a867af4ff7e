# The work of the stand-in for uci. A package that was changed and not committed
# lies whole in the save directory.

BEGIN {
	conf = ENVIRON["conf"]; save = ENVIRON["save"]
	for (i = 1; i < ARGC; i++) arg[i] = ARGV[i]
	status = (arg[1] == "batch" && ARGC == 2) ? batch() : command(ARGC - 1)
	exit status == 255 ? 1 : status
}

# batch runs every statement of the input.
function batch(    text, line, n) {
	while ((getline line < "-") > 0) text = text line "\n"
	while (text != "") {
		n = 0
		delete arg
		text = words(text)
		for (n = 0; n < nwords; n++) arg[n + 1] = word[n + 1]
		if (n > 0 && command(n) == 255) warn("Unknown command")
	}
	return 0
}

# words takes one statement off the text into word, and returns the rest. Inside
# quotes a newline is a character like any other.
function words(text,    i, c, w, open, quote) {
	nwords = 0; w = ""; open = 0
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		if (quote == "'") {
			if (c == "'") quote = ""; else w = w c
		} else if (quote == "\"") {
			if (c == "\"") quote = ""
			else { if (c == "\\") c = substr(text, ++i, 1); w = w c }
		} else if (c == "'" || c == "\"") { quote = c; open = 1 }
		else if (c == "\\") { w = w substr(text, ++i, 1); open = 1 }
		else if (c == " " || c == "\t" || c == "\n" || c == "#" && !open) {
			if (open) { word[++nwords] = w; w = ""; open = 0 }
			if (c == "#") while (c != "\n" && i < length(text)) c = substr(text, ++i, 1)
			if (c == "\n") break
		} else { w = w c; open = 1 }
	}
	return substr(text, i + 1)
}

function warn(text) { print "uci: " text | "cat >&2"; close("cat >&2"); return 1 }

function command(n,    verb) {
	verb = arg[1]
	if (n != 2) return 255
	if (verb == "export" || verb == "commit") {
		if (arg[2] !~ /^[A-Za-z0-9_-]+$/ || !load(arg[2])) return warn("Entry not found")
		if (verb == "export") printf "package %s\n%s", arg[2], show()
		else if (ENVIRON["nocommit"] != "1") {
			store(conf "/" arg[2])
			system("rm -f '" save "/" arg[2] "'")
		}
		return 0
	}
	if (verb !~ /^(get|set|add_list|del_list|delete)$/) return 255
	return entry(verb, arg[2])
}

# entry does what is done to one section or option.
function entry(verb, tuple,    eq, value, has, part, n, o) {
	eq = index(tuple, "=")
	has = eq > 0
	if (has) { value = substr(tuple, eq + 1); tuple = substr(tuple, 1, eq - 1) }
	n = split(tuple, part, ".")
	if (n < 2 || n > 3 || part[1] !~ /^[A-Za-z0-9_-]+$/ || n == 3 && part[3] !~ /^[A-Za-z0-9_]+$/) return warn("Parse error")
	if (value ~ /[\001-\010\013\014\016-\037]/) return warn("Parse error")
	if (has != (verb != "get" && verb != "delete")) return warn("Invalid argument")
	if (!load(part[1])) return warn("Entry not found")
	s = section(part[2])
	if (s < 0) return warn("Invalid argument")
	o = (s && n == 3) ? option(s, part[3]) : 0
	found = n == 3 ? o : s
	if (verb == "get" || verb == "delete") {
		if (!found) return warn("Entry not found")
		if (verb == "get") { print n == 3 ? val[s, o, 1] : type[s]; return 0 }
		if (n == 3) drop(s, o); else type[s] = ""
	} else if (n == 2) {
		if (verb != "set" || value !~ /^[!-~]+$/) return warn("Invalid argument")
		if (!s) { s = ++sections; name[s] = part[2]; options[s] = 0 }
		type[s] = value
	} else {
		if (!s) return warn("Invalid argument")
		if (verb == "set" && value == "") { if (o) drop(s, o) }
		else change(verb, s, o, part[3], value)
	}
	store(save "/" part[1])
	return 0
}

function change(verb, s, o, key, value,    i, m) {
	if (verb == "del_list") {
		if (!o || kind[s, o] != "list") return
		for (i = 1; i <= vals[s, o]; i++) if (val[s, o, i] != value) val[s, o, ++m] = val[s, o, i]
		vals[s, o] = m + 0
		return
	}
	if (!o) { o = ++options[s]; opt[s, o] = key; vals[s, o] = 0 }
	if (verb == "set") { kind[s, o] = "option"; vals[s, o] = 0 }
	else kind[s, o] = "list"
	val[s, o, ++vals[s, o]] = value
}

function drop(s, o) { opt[s, o] = "" }

# section finds one by its name or by @type[index]: 0 is none, -1 no name.
function section(ref,    i, want) {
	if (ref ~ /^[A-Za-z0-9_]+$/) {
		for (i = 1; i <= sections; i++) if (type[i] != "" && name[i] == ref) return i
		return 0
	}
	if (ref !~ /^@[^[]*\[-?[0-9]+\]$/) return -1
	want = substr(ref, index(ref, "[") + 1) + 0
	ref = substr(ref, 2, index(ref, "[") - 2)
	for (i = 1; i <= sections; i++) if (type[i] == ref && want-- == 0) return i
	return 0
}

function option(s, key,    i) {
	for (i = 1; i <= options[s]; i++) if (opt[s, i] == key) return i
	return 0
}

# load reads a package as it was last changed.
function load(pkg,    file, line, text) {
	file = save "/" pkg
	if ((getline line < file) < 0) {
		file = conf "/" pkg
		if ((getline line < file) < 0) return 0
	}
	close(file)
	sections = 0
	while ((getline line < file) > 0) text = text line "\n"
	close(file)
	while (text != "") {
		text = words(text)
		if (word[1] == "config" && nwords > 0) {
			type[++sections] = word[2]
			name[sections] = nwords > 2 ? word[3] : ""
			options[sections] = 0
		} else if (nwords == 3) change(word[1] == "list" ? "add_list" : "set", sections, option(sections, word[2]), word[2], word[3])
	}
	return 1
}

# show writes the package as uci does.
function show(    s, o, i, text) {
	for (s = 1; s <= sections; s++) {
		if (type[s] == "") continue
		text = text "\nconfig " type[s] (name[s] == "" ? "" : " '" name[s] "'") "\n"
		for (o = 1; o <= options[s]; o++)
			if (opt[s, o] != "")
				for (i = 1; i <= vals[s, o]; i++)
					text = text "\t" kind[s, o] " " opt[s, o] " '" quoted(val[s, o, i]) "'\n"
	}
	return text "\n"
}

function quoted(v) { gsub(/'/, "'\\''", v); return v }

function store(file) { printf "%s", show() > file; close(file) }
