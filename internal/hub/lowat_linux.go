package hub

import (
	"crypto/tls"
	"net"

	"golang.org/x/sys/unix"
)

// unsentLimit bounds what the kernel queues for a client that reads slowly.
// Without it what conflation saves lies in the kernel's queue, seconds old.
const unsentLimit = 16 << 10

func limitUnsent(conn net.Conn) {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	// Without the option the connection works all the same.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit)
	})
}
