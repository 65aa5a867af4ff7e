package machine

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Ext4 makes a file system of the size that holds the tree.
func Ext4(path string, size int64, t Tree) error {
	from := path + ".tree"
	if err := t.Write(from); err != nil {
		return err
	}
	defer os.RemoveAll(from)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	_, err := Output(exec.Command("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-E", "root_owner=0:0", "-d", from, path, fmt.Sprintf("%dK", size>>10)))
	return err
}

// Partitioned writes the files into the partitions of one disk: at most four,
// each as long as its file and a whole number of sectors.
func Partitioned(path string, files ...string) error {
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
