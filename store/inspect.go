package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
)

// bbolt trusts its file. On one that is damaged it panics, partly in goroutines
// of its own where nothing can catch it, or reads past the end of its map. So
// all pages are looked at here first, through read(2). The layout is bbolt's
// page.go: two meta pages, then a tree of branch and leaf pages; the numbers are
// in the machine's byte order, and 8 bytes wide on 32-bit machines too.

var errUnusable = errors.New(fileName + " could not be used")

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errUnusable, fmt.Errorf(format, args...))
}

const (
	flagBranch = 1
	flagLeaf   = 2

	headerSize  = 16 // of a page, and of a bucket's value
	elementSize = 16 // of an entry in a branch or a leaf
	metaSize    = 64
	noFreelist  = ^uint64(0)
)

var order = binary.NativeEndian

// space is how much of the file is in use.
type space struct {
	size, used int64 // bytes of the file, and those in use
}

// mostlyFree reports whether the file is worth rewriting.
func (s space) mostlyFree() bool { return s.size > 4*growth && s.used < s.size/4 }

// An inspection is one walk over the pages that can be reached.
type inspection struct {
	file     io.ReaderAt
	pageSize uint64
	end      uint64 // the first page that was never used
	seen     []bool // by page
	used     uint64 // pages
}

// inspect reads the whole file at path and reports whether it is a database of
// bbolt's that can be used.
func inspect(path string) (space, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return space{}, err
	case err == nil && !info.Mode().IsRegular():
		return space{}, fmt.Errorf("opening the journal: %s is no file: move it away", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return space{}, fmt.Errorf("opening the journal: %w: run the agent as the user who owns the file", err)
	}
	defer f.Close()
	in := inspection{file: f}
	if err := in.run(info.Size()); err != nil {
		return space{}, unusable("%w", err)
	}
	return space{size: info.Size(), used: int64(in.used * in.pageSize)}, nil
}

func (in *inspection) run(size int64) error {
	meta, err := in.meta()
	if err != nil {
		return err
	}
	if order.Uint64(meta[32:]) != noFreelist {
		return errors.New("it was written by another program")
	}
	in.end = order.Uint64(meta[40:])
	if in.end > uint64(size)/in.pageSize {
		return fmt.Errorf("it is cut off: %d bytes are there, %d pages of %d are in use", size, in.end, in.pageSize)
	}
	in.seen = make([]bool, in.end)
	in.used = 2
	return in.tree(order.Uint64(meta[16:]), bounds{}, in.bucket)
}

// meta returns the newer of the valid meta pages, as bbolt chooses it.
func (in *inspection) meta() ([]byte, error) {
	first := in.metaAt(0)
	if first != nil {
		in.pageSize = uint64(order.Uint32(first[8:]))
	}
	for size := uint64(1 << 10); in.pageSize == 0 && size <= 64<<10; size *= 2 {
		if m := in.metaAt(size); m != nil && uint64(order.Uint32(m[8:])) == size {
			in.pageSize = size
		}
	}
	if in.pageSize < 1<<10 || in.pageSize > 64<<10 || in.pageSize&(in.pageSize-1) != 0 {
		return nil, errors.New("it is no database, or both of its first pages are damaged")
	}
	second := in.metaAt(in.pageSize)
	if first == nil || second != nil && order.Uint64(second[48:]) > order.Uint64(first[48:]) {
		return second, nil
	}
	return first, nil
}

// metaAt returns the meta page there, or nil if it is none.
func (in *inspection) metaAt(at uint64) []byte {
	m := make([]byte, metaSize)
	if _, err := in.file.ReadAt(m, int64(at)+headerSize); err != nil {
		return nil
	}
	sum := fnv.New64a()
	sum.Write(m[:56])
	if order.Uint32(m) != 0xED0CDAED || order.Uint32(m[4:]) != 2 || order.Uint64(m[56:]) != sum.Sum64() {
		return nil
	}
	return m
}

// page reads a page with all that belongs to it, once.
func (in *inspection) page(id uint64) ([]byte, error) {
	header := make([]byte, headerSize)
	if id < 2 || id >= in.end {
		return nil, fmt.Errorf("page %d: there are only %d", id, in.end)
	}
	if _, err := in.file.ReadAt(header, int64(id*in.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	n := uint64(order.Uint32(header[12:])) + 1
	if order.Uint64(header) != id || n > in.end-id {
		return nil, fmt.Errorf("page %d: its head is damaged", id)
	}
	for i := range n {
		if in.seen[id+i] {
			return nil, fmt.Errorf("page %d: it is used twice", id+i)
		}
		in.seen[id+i] = true
	}
	in.used += n
	p := make([]byte, n*in.pageSize)
	if _, err := in.file.ReadAt(p, int64(id*in.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return p, nil
}

// bounds are the first key of a page, which must be the one by which its parent
// names it, and the key that follows all of the page. Nil is no bound.
type bounds struct{ first, end []byte }

// allows reports whether the key may follow last, or be the first if that is nil.
func (b bounds) allows(last, key []byte) bool {
	if b.end != nil && bytes.Compare(key, b.end) >= 0 {
		return false
	}
	if last == nil {
		return b.first == nil || bytes.Equal(key, b.first)
	}
	return bytes.Compare(last, key) < 0
}

// leafFunc looks at one entry of a leaf.
type leafFunc func(flags uint32, value []byte) error

// tree looks at the page and all below it.
func (in *inspection) tree(id uint64, b bounds, each leafFunc) error {
	p, err := in.page(id)
	if err != nil {
		return err
	}
	switch flags := order.Uint16(p[8:]); flags {
	case flagLeaf:
		err = leaf(p, b, each)
	case flagBranch:
		err = in.branch(p, b, each)
	default:
		err = fmt.Errorf("neither branch nor leaf, but %#x", flags)
	}
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

func (in *inspection) branch(p []byte, b bounds, each leafFunc) error {
	count := int(order.Uint16(p[10:]))
	keys, children := make([][]byte, count+1), make([]uint64, count)
	keys[count] = b.end
	for i := range count {
		at := headerSize + i*elementSize
		e, ok := slice(p, uint64(at), elementSize)
		if !ok {
			return errDamagedEntry
		}
		children[i] = order.Uint64(e[8:])
		if keys[i], ok = slice(p, uint64(at)+uint64(order.Uint32(e)), uint64(order.Uint32(e[4:]))); !ok {
			return errDamagedEntry
		}
	}
	if count == 0 {
		return errors.New("a branch without children")
	}
	var last []byte
	for i, child := range children {
		if !b.allows(last, keys[i]) {
			return errKeyOrder
		}
		last = keys[i]
		if err := in.tree(child, bounds{keys[i], keys[i+1]}, each); err != nil {
			return err
		}
	}
	return nil
}

var (
	errDamagedEntry = errors.New("a damaged entry")
	errKeyOrder     = errors.New("a key out of order")
)

func leaf(p []byte, b bounds, each leafFunc) error {
	var last []byte
	for i := range int(order.Uint16(p[10:])) {
		at := uint64(headerSize + i*elementSize)
		e, ok := slice(p, at, elementSize)
		if !ok {
			return errDamagedEntry
		}
		pos, length := at+uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:]))
		key, ok := slice(p, pos, length)
		value, ok2 := slice(p, pos+length, uint64(order.Uint32(e[12:])))
		if !ok || !ok2 || length == 0 {
			return errDamagedEntry
		}
		if !b.allows(last, key) {
			return errKeyOrder
		}
		last = key
		if err := each(order.Uint32(e), value); err != nil {
			return err
		}
	}
	return nil
}

// bucket looks at an entry of the root: there are only buckets in it.
func (in *inspection) bucket(flags uint32, value []byte) error {
	if flags != 1 || len(value) < headerSize {
		return errors.New("not a bucket")
	}
	if root := order.Uint64(value); root != 0 {
		return in.tree(root, bounds{}, plainValue)
	}
	inline := value[headerSize:]
	if len(inline) < headerSize || order.Uint16(inline[8:]) != flagLeaf {
		return errors.New("a damaged bucket")
	}
	return leaf(inline, bounds{}, plainValue)
}

func plainValue(flags uint32, _ []byte) error {
	if flags != 0 {
		return errors.New("a bucket where a value should be")
	}
	return nil
}

// slice returns the n bytes of p from at on, if p has them.
func slice(p []byte, at, n uint64) ([]byte, bool) {
	if at > uint64(len(p)) || n > uint64(len(p))-at {
		return nil, false
	}
	return p[at : at+n], true
}
