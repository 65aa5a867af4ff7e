package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// A packed program is a package: its file's size, and what it says that it
// takes when it is installed.
type packed struct{ size, installed int64 }

// open reads the newest package of the pattern.
func (b *bench) open(pattern, format string) (p packed, err error) {
	found, _ := filepath.Glob(filepath.Join(b.dist, pattern))
	if len(found) == 0 {
		return p, fmt.Errorf("no package %s: make packages", pattern)
	}
	text, err := os.ReadFile(found[len(found)-1])
	if err != nil {
		return p, err
	}
	p.size = int64(len(text))
	switch format {
	case "deb":
		p.installed, err = stated(within(text, "control.tar.gz"), "control", "Installed-Size:", 1<<10)
	case "ipk":
		var inner []byte
		if inner, err = member(text, "control.tar.gz"); err == nil {
			p.installed, err = stated(inner, "control", "Installed-Size:", 1<<10)
		}
	case "apk":
		p.installed, err = stated(text, ".PKGINFO", "size =", 1)
	case "rpm":
		p.installed, err = rpmSize(text)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", found[len(found)-1], err)
	}
	return p, err
}

// within is what a deb has of this name: each part begins with a line of 60 bytes.
func within(deb []byte, name string) []byte {
	for at := len("!<arch>\n"); at+60 <= len(deb); {
		size, err := strconv.Atoi(strings.TrimSpace(string(deb[at+48 : at+58])))
		if err != nil || at+60+size > len(deb) {
			return nil
		}
		if strings.Trim(string(deb[at:at+16]), " /") == name {
			return deb[at+60 : at+60+size]
		}
		at += 60 + size + size%2
	}
	return nil
}

// member is a file of a compressed archive, or of several that are one.
func member(archive []byte, name string) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if path.Clean(h.Name) == name {
			return io.ReadAll(t)
		}
	}
}

// stated is the number behind a word in a file of the archive, in units of bytes.
func stated(archive []byte, name, word string, unit int64) (int64, error) {
	text, err := member(archive, name)
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut("\n"+string(text), "\n"+word)
	line, _, _ := strings.Cut(rest, "\n")
	if !ok {
		return 0, errors.New("it names no size")
	}
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	return n * unit, err
}

// rpmSize is the tag 1009 of the second header: behind 96 bytes and the
// signature's header, which ends on a multiple of eight.
func rpmSize(rpm []byte) (int64, error) {
	word := func(at int) int {
		if at < 0 || at+4 > len(rpm) {
			return 0
		}
		return int(binary.BigEndian.Uint32(rpm[at:]))
	}
	at := 96
	at += 16 + 16*word(at+8) + word(at+12)
	at = (at + 7) &^ 7
	entries := word(at + 8)
	for i := range min(entries, 1000) {
		if entry := at + 16 + 16*i; word(entry) == 1009 {
			return int64(word(at + 16 + 16*entries + word(entry+8))), nil
		}
	}
	return 0, errors.New("it names no size")
}
