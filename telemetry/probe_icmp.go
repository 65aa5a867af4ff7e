package telemetry

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// icmpConn is a socket for echoes to one host and back.
type icmpConn struct {
	net.Conn
	v6     bool
	header bool // what is read begins with an IP header
}

// dialICMP prefers the kind of socket that needs no right but the group's in
// net.ipv4.ping_group_range; the raw one needs CAP_NET_RAW.
func dialICMP(to netip.Addr) (icmpConn, error) {
	c := icmpConn{v6: to.Is6()}
	fd, err := c.socket(syscall.SOCK_DGRAM)
	if isDenied(err) {
		c.header = !c.v6
		fd, err = c.socket(syscall.SOCK_RAW)
	}
	if err != nil {
		return c, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "icmp")
	defer file.Close()
	if err := syscall.Connect(fd, sockaddr(to)); err != nil {
		return c, os.NewSyscallError("connect", err)
	}
	c.Conn, err = net.FileConn(file)
	return c, err
}

// socket asks the kernel to report also that a host cannot be reached.
func (c icmpConn) socket(kind int) (int, error) {
	family, proto, level, tell := syscall.AF_INET, syscall.IPPROTO_ICMP, syscall.IPPROTO_IP, syscall.IP_RECVERR
	if c.v6 {
		family, proto, level, tell = syscall.AF_INET6, syscall.IPPROTO_ICMPV6, syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR
	}
	fd, err := syscall.Socket(family, kind|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, proto)
	if err != nil {
		return fd, err
	}
	if err := syscall.SetsockoptInt(fd, level, tell, 1); err != nil {
		return fd, errors.Join(err, syscall.Close(fd))
	}
	return fd, nil
}

func sockaddr(to netip.Addr) syscall.Sockaddr {
	if to.Is4() {
		return &syscall.SockaddrInet4{Addr: to.As4()}
	}
	zone := 0
	if i, err := net.InterfaceByName(to.Zone()); err == nil {
		zone = i.Index
	} else if n, err := strconv.Atoi(to.Zone()); err == nil {
		zone = n
	}
	return &syscall.SockaddrInet6{Addr: to.As16(), ZoneId: uint32(zone)}
}

const (
	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

// request is an echo request: type, code, checksum, id, sequence, token. An
// unprivileged socket gets its id from the kernel, so it is the token that counts.
func (c icmpConn) request(seq byte, token [8]byte) []byte {
	m := append([]byte{echoRequest4, 0, 0, 0, token[0], token[1], 0, seq}, token[:]...)
	if c.v6 {
		m[0] = echoRequest6 // the kernel adds the checksum, for it knows the addresses in it
		return m
	}
	binary.BigEndian.PutUint16(m[2:], checksum(m))
	return m
}

// answer reads which of our requests a packet answers.
func (c icmpConn) answer(packet []byte, token [8]byte) (seq byte, ok bool) {
	if c.header && len(packet) > 0 {
		packet = packet[min(int(packet[0]&0xf)*4, len(packet)):]
	}
	reply := byte(echoReply4)
	if c.v6 {
		reply = echoReply6
	}
	if len(packet) < 16 || packet[0] != reply || !bytes.Equal(packet[8:16], token[:]) {
		return 0, false
	}
	return packet[7], true
}

// checksum is the Internet's: the complement of the sum of 16-bit words.
func checksum(even []byte) uint16 {
	var sum uint32
	for i := 0; i < len(even); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(even[i:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
