package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"thor"
	"thor/internal/stream"
)

// command is what a client may send. Unknown members are ignored.
type command struct {
	Type    string                        `json:"type"`
	ID      json.RawMessage               `json:"id"`
	Streams []thor.StreamID               `json:"streams"`
	Resume  map[thor.StreamID]resumePoint `json:"resume"`
	Token   string                        `json:"token"`
	Client  string                        `json:"client"`
}

// resumePoint is the version a client has of a stream.
type resumePoint struct {
	Epoch string `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

const (
	maxStreams = 200 // a message may name; an answer for each must fit what is kept for a client
	maxBad     = 10  // messages in a row that cannot be used
	maxClient  = 128 // characters of the name a client gives itself
	maxID      = 128 // characters of a message's id, which is echoed
)

// command does what a message says.
func (c *conn) command(ctx context.Context, message []byte) {
	cmd, err := parseCommand(message)
	if err == nil && c.principal == nil && cmd.Type != "auth" && cmd.Type != "ping" {
		err = thor.Errorf(thor.EUNAUTHORIZED, "the first message must be auth with a token")
	}
	if err == nil {
		err = c.execute(ctx, cmd, message)
	}
	if err == nil {
		c.bad = 0
		return
	}
	c.fail(cmd.ID, err)
	if thor.ErrorCode(err) != thor.EINVALID {
		return
	}
	if c.bad++; c.bad >= maxBad {
		c.close(closeBadRequest, "too many messages that cannot be used")
	}
}

func (c *conn) fail(id json.RawMessage, err error) {
	if thor.ErrorCode(err) == thor.EINTERNAL {
		c.hub.Logger.Error("command failed", slog.String("connection", c.id), slog.Any("error", err))
	}
	c.send(errorFrame(id, err))
}

// parseCommand reads a message. When the id can be read it is returned even if
// the rest is wrong.
func parseCommand(message []byte) (command, error) {
	var cmd command
	if err := json.Unmarshal(message, &cmd); err != nil {
		cmd = command{}
		var id struct {
			ID json.RawMessage `json:"id"`
		}
		if json.Unmarshal(message, &id) == nil && isID(id.ID) {
			cmd.ID = id.ID
		}
		return cmd, thor.Errorf(thor.EINVALID, "the message cannot be read: %w", err).
			WithHint(`A message is a JSON object with a type, for instance {"type":"ping"}.`)
	}
	if len(cmd.ID) > 0 && !isID(cmd.ID) {
		cmd.ID = nil
		return cmd, thor.Errorf(thor.EINVALID, "id must be a string or a number of at most %d characters", maxID)
	}
	if len(cmd.Streams) > maxStreams {
		return cmd, thor.Errorf(thor.EINVALID, "%d streams in one message, at most %d are taken", len(cmd.Streams), maxStreams)
	}
	for _, id := range cmd.Streams {
		if err := id.Validate(); err != nil {
			return cmd, err
		}
	}
	if len(cmd.Client) > maxClient {
		return cmd, thor.Errorf(thor.EINVALID, "client may be %d characters long", maxClient)
	}
	return cmd, nil
}

func isID(raw json.RawMessage) bool { return isScalar(raw) && len(raw) <= maxID }

func isScalar(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] != '{' && raw[0] != '[' }

func (c *conn) execute(ctx context.Context, cmd command, message []byte) error {
	switch cmd.Type {
	case "ping":
		return c.pong(message)
	case "auth":
		return c.auth(cmd)
	case "subscribe":
		if len(cmd.Streams) == 0 {
			return thor.Errorf(thor.EINVALID, "subscribe needs streams").
				WithHint("hello lists the streams there are for you.")
		}
		c.identify(cmd.Client)
		c.undefault(cmd.Streams)
		c.subscribe(ctx, cmd)
	case "unsubscribe":
		if len(cmd.Streams) == 0 {
			return thor.Errorf(thor.EINVALID, "unsubscribe needs streams")
		}
		c.unsubscribe(cmd.Streams)
		c.send(encode("unsubscribed", cmd.ID, streamsData{Streams: cmd.Streams}))
	case "subscriptions":
		c.send(encode("subscriptions", cmd.ID, streamsData{Streams: append([]thor.StreamID{}, slices.Sorted(maps.Keys(c.subs))...)}))
	case "":
		return thor.Errorf(thor.EINVALID, "the message has no type")
	default:
		return thor.Errorf(thor.EINVALID, "there is no message type %.64q", cmd.Type).
			WithHint("A client may send ping, auth, subscribe, unsubscribe and subscriptions.")
	}
	return nil
}

// undefault ends the default: from now on the client follows what it asks for,
// and nothing else.
func (c *conn) undefault(asked []thor.StreamID) {
	if c.following {
		for id := range maps.Clone(c.subs) {
			if !slices.Contains(asked, id) {
				c.detach(id)
			}
		}
	}
	c.followAt, c.following, c.unwanted = time.Time{}, false, nil
}

// unsubscribe stops following streams; the default leaves them out as well.
func (c *conn) unsubscribe(ids []thor.StreamID) {
	for _, id := range ids {
		c.detach(id)
		_, err := c.hub.Logs.Attach(c.principal, id)
		if err == nil && (c.following || !c.followAt.IsZero()) {
			if c.unwanted == nil {
				c.unwanted = map[thor.StreamID]bool{}
			}
			c.unwanted[id] = true
		}
	}
}

// pong echoes every scalar of a ping, and adds the server's time.
func (c *conn) pong(message []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(message, &fields); err != nil {
		return thor.Errorf(thor.EINVALID, "the message cannot be read: %w", err)
	}
	payload := []byte(`{"type":"pong"`)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == "type" || name == "ts" || !isScalar(fields[name]) {
			continue
		}
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		payload = append(append(append(append(payload, ','), key...), ':'), fields[name]...)
	}
	payload = strconv.AppendInt(append(payload, `,"ts":`...), time.Now().UnixMilli(), 10)
	c.send(stream.AppendFrame(nil, append(payload, '}')))
	return nil
}

// auth makes the bearer of a token the principal, and looks at every attachment
// again.
func (c *conn) auth(cmd command) error {
	p, err := c.hub.Door.TokenFrom(c.address, cmd.Token)
	if err != nil {
		if !c.greeted() {
			c.send(errorFrame(cmd.ID, err))
			refusal := refuse(err)
			c.hub.refused(refusalOf(refusal.code))
			c.close(refusal.code, refusal.reason)
			return nil
		}
		return err
	}
	first := !c.greeted()
	c.principal = &p
	c.send(encode("authenticated", cmd.ID, authenticatedData{Subject: p.Subject}))
	c.identify(cmd.Client)
	if first {
		c.hello()
		return nil
	}
	c.belong()
	c.assign() // the sub may be another, and with it who the client is
	for _, s := range slices.Clone(c.order) {
		if _, err := c.hub.Logs.Attach(p, s.id); err != nil {
			c.detach(s.id)
			c.fail(cmd.ID, err)
		}
	}
	if c.following {
		c.followVisible()
	}
	return nil
}

// identify notes the name a client gives itself, which decides what it is
// assigned in canary.
func (c *conn) identify(client string) {
	if client != "" && client != c.client {
		c.client = client
		c.assign()
	}
}

// identity is who the client is for canary.
func (c *conn) identity() string {
	return cmp.Or(c.client, c.browser, c.principal.Identity(), c.id)
}

// hello tells the client who it is and what there is. Without a subscribe the
// default begins a second later.
func (c *conn) hello() {
	c.belong()
	now := time.Now()
	c.followAt = now.Add(followAfter)
	features := c.hub.Features(c.identity())
	c.send(encode("hello", nil, helloData{
		Connection:  c.id,
		ServerTime:  now.UTC().Truncate(time.Millisecond),
		HeartbeatMS: c.hub.Heartbeat.Milliseconds(),
		Resume:      true,
		Reconnect:   reconnectData{MinMS: 250, MaxMS: 15_000, JitterMS: jitter.Milliseconds()},
		Source:      c.hub.Source,
		Streams:     c.shard.cadences(c.hub.Logs.Visible(c.principal)),
		Features:    features,
	}))
	c.assigned = map[string]thor.DataSource{}
	for name, f := range features {
		c.assigned[name] = f.DataSource
	}
	c.announce()
	c.flush()
}

// assign tells the client where its data comes from in canary, when that is
// news. In the other stages the cutover stream says it to all.
func (c *conn) assign() {
	if c.assigned == nil || c.closing { // before hello, which tells it
		return
	}
	for name, f := range c.hub.Features(c.identity()) {
		if f.Stage == thor.StageCanary && c.assigned[name] != f.DataSource {
			c.send(encode("assignment", nil, assignmentData{Feature: name, DataSource: f.DataSource, Rev: f.Rev}))
		}
		c.assigned[name] = f.DataSource
	}
}
