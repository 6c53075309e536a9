//go:build !linux

package hub

import "net"

func limitUnsent(net.Conn) {}
