// Package stream holds the log of every stream of this node: frames encoded
// once, kept in immutable chunks, and read by any number of subscribers through
// cursors.
//
// An append never looks at a reader and never waits for one. A reader that lags
// costs nothing: what it missed is conflated to the newest frame of each key,
// and a gap frame says so. Final entries are replayed for as long as the log
// holds them, and are the newest of their key after that, so none is lost.
//
// The package does not number events (the store does), does not know
// connections (the hub does), and does not decide who may see what beyond the
// one door, [Logs.Attach].
package stream
