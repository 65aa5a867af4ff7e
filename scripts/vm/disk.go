package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
)

// ext4 makes a file system of the size that holds the tree.
func ext4(path string, size int64, t tree) error {
	from := path + ".tree"
	if err := t.write(from); err != nil {
		return err
	}
	defer os.RemoveAll(from)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	_, err := output(exec.Command("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-E", "root_owner=0:0", "-d", from, path, fmt.Sprintf("%dK", size>>10)))
	return err
}

// partitioned writes the files into the partitions of one disk: at most four,
// each as long as its file and a whole number of sectors.
func partitioned(path string, files ...string) error {
	disk, err := os.Create(filepath.Clean(path))
	if err != nil {
		return err
	}
	defer disk.Close()
	table := make([]byte, 512)
	table[510], table[511] = 0x55, 0xaa
	at := int64(1 << 20)
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err := disk.WriteAt(text, at); err != nil {
			return err
		}
		entry := table[446+16*i:]
		entry[4] = 0x83
		binary.LittleEndian.PutUint32(entry[8:], uint32(at/512))
		binary.LittleEndian.PutUint32(entry[12:], uint32(len(text)/512))
		at += int64(len(text)+1<<20-1) &^ (1<<20 - 1)
	}
	if _, err := disk.WriteAt(table, 0); err != nil {
		return err
	}
	return disk.Truncate(at)
}

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
