package look

// Hung reports whether a path is remembered as one that hangs.
func Hung(path string) bool { return past.hung(path) }
