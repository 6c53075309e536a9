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
	"thor/internal/auth"
	"thor/internal/stream"
)

// maxBad is how many messages in a row may be of no use.
const maxBad = 10

// command does what a message says.
func (c *conn) command(ctx context.Context, message []byte) {
	cmd, err := parseCommand(message)
	if err == nil && c.principal == nil && cmd.Type != "auth" && cmd.Type != "ping" {
		err = thor.Errorf(thor.EUNAUTHORIZED, "the first message must be auth with a token")
	}
	if err == nil {
		err = c.execute(ctx, cmd)
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

func (c *conn) execute(ctx context.Context, cmd command) error {
	switch cmd.Type {
	case "ping":
		return c.pong(cmd)
	case "auth":
		return c.auth(ctx, cmd)
	case "subscribe":
		if len(cmd.Streams) == 0 {
			return wrong("streams", "subscribe needs streams").
				WithHint("hello lists the streams there are for you.")
		}
		c.identify(cmd.Client)
		c.undefault(cmd.Streams)
		c.subscribe(ctx, cmd)
	case "unsubscribe":
		if len(cmd.Streams) == 0 {
			return wrong("streams", "unsubscribe needs streams")
		}
		c.unsubscribe(cmd.Streams)
		c.send(encode("unsubscribed", cmd.ID, streamsData{Streams: cmd.Streams}))
	case "subscriptions":
		c.send(encode("subscriptions", cmd.ID, streamsData{Streams: append([]thor.StreamID{}, slices.Sorted(maps.Keys(c.subs))...)}))
	case "cutover_ack":
		return c.ack(cmd)
	case "parity_report":
		return c.report(cmd)
	case "":
		return wrong("type", "the message has no type")
	default:
		return wrong("type", "there is no message type %.64q", cmd.Type).
			WithHint("A client may send ping, auth, subscribe, unsubscribe, subscriptions, cutover_ack and parity_report.")
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

// unsubscribe stops following streams; the default leaves them out as well, also
// those there are not now, whose feature may be off.
func (c *conn) unsubscribe(ids []thor.StreamID) {
	for _, id := range ids {
		c.detach(id)
		byDefault := c.following || !c.followAt.IsZero()
		if byDefault && len(c.unwanted) < maxUnwanted && stream.MaySee(c.principal, id) {
			if c.unwanted == nil {
				c.unwanted = map[thor.StreamID]bool{}
			}
			c.unwanted[id] = true
		}
	}
}

// pong echoes every scalar of a ping, and adds the server's time.
func (c *conn) pong(cmd command) error {
	fields := cmd.members
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

// auth makes the bearer of a token the principal. Where a backend must be asked
// which accounts those are, that happens off the shard.
func (c *conn) auth(ctx context.Context, cmd command) error {
	p, err := c.hub.Door.TokenFrom(c.address, cmd.Token)
	if err != nil || p.Grant == nil {
		return c.admitted(cmd, p, err)
	}
	c.reading = c.hub.spawn(func() {
		p, err := c.hub.Door.Granted(ctx, p)
		c.shard.post(event{kind: eventAdmitted, conn: c, admission: &admission{cmd, p, err}})
	})
	return nil
}

// admission is what became of an auth that had to wait.
type admission struct {
	command   command
	principal auth.Principal
	err       error
}

// goOn goes on with an auth when the backend has answered, and with what the
// client said in the meantime.
func (c *conn) goOn(ctx context.Context, a *admission) {
	held := c.held
	c.reading, c.held = false, nil
	if c.closing {
		return
	}
	if err := c.admitted(a.command, a.principal, a.err); err != nil {
		c.fail(a.command.ID, err)
	}
	c.receive(ctx, held)
}

// admitted takes a principal that was let in by auth, or not, and looks at every
// attachment again.
func (c *conn) admitted(cmd command, p auth.Principal, err error) error {
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
	c.send(encode("authenticated", cmd.ID, authenticatedData{Subject: p.Subject, Roles: p.Roles}))
	c.identify(cmd.Client)
	if first {
		c.hello()
		return nil
	}
	c.belong()
	c.assign() // the sub may be another, and with it who the client is
	for _, s := range slices.Clone(c.order) {
		if stream.MaySee(p, s.id) {
			continue // should it be closed by now, the next sweep says so with a reset
		}
		_, err := c.hub.Logs.Attach(p, s.id)
		c.detach(s.id)
		c.fail(cmd.ID, err)
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

// reassign looks at the stages again.
func (c *conn) reassign() {
	c.announce()
	c.assign()
	c.flush()
}
