module github.com/ratchetd/ratchet

go 1.26.3
