// Package thor is the vocabulary of the server: the payloads, their messages
// and events, the features, the stages, exact decimals and errors with codes.
// It knows no store, no socket and no source; every other package speaks its
// words.
//
// # The way of one bar
//
//  1. heartbeat finds the job due,
//  2. jobs.Intraday reads
//  3. the source's bars and makes one call,
//  4. [Broadcaster.Broadcast], with the messages [IntradayBarMessages] built;
//  5. the pipeline validates them, drops what says nothing new, and the store
//     numbers the rest in the transaction that keeps them;
//  6. the channel layer carries the events to every node,
//  7. where the stream's log encodes each frame once,
//  8. and a shard of the hub hands every connection what lies past its cursor.
//
// Nothing on that way waits for a client. REST reads what the store keeps: the
// same bytes.
//
// # The packages
//
//	jobs                what runs on the heartbeat: add your own here
//	internal/app        wiring; the only package that knows adapters
//	internal/heartbeat  when jobs run, their deadlines and back-off
//	internal/source     the contract of sources; sim and upstream below it
//	internal/legacy     a double of the backend people have, over any source
//	internal/calendar   exchange sessions, holidays, breaks, half days; overrides at run time
//	internal/pipeline   what is behind Broadcast
//	internal/store      the contract of the store; sqlite below it
//	internal/channel    the contract of the channel layer; memory below it
//	internal/stream     the logs of encoded frames, and cursors
//	internal/hub        the WebSocket endpoint
//	internal/api        REST and problems
//	internal/frontdoor  the proxy before the user's own backend
//	internal/cutover    stages, transitions, audit
//	internal/auth       who is asking
//	internal/metrics    every metric by name
//	internal/client     a client in Go, for the commands
//	web                 the built page, and the npm packages it is made of
//	cmd/thor            the command line
package thor
