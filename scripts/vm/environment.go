package main

import (
	"encoding/binary"
	"hash/crc32"
)

// environment is U-Boot's, kept twice: a checksum, a counter that tells which
// of the two is the newer one, and the variables.
func environment(size int, variables ...string) []byte {
	copies := make([]byte, 0, 2*size)
	for _, counter := range []byte{2, 1} {
		one := make([]byte, size)
		one[4] = counter
		at := 5
		for _, v := range variables {
			at += copy(one[at:], v+"\x00")
		}
		binary.LittleEndian.PutUint32(one, crc32.ChecksumIEEE(one[5:]))
		copies = append(copies, one...)
	}
	return copies
}
