package hub

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"thor"
	"thor/internal/stream"
)

// sub is a stream a connection follows.
type sub struct {
	id      thor.StreamID
	log     *stream.Log
	epoch   string
	cursor  uint64   // seq of the next entry
	pending []byte   // a snapshot or a replay that goes before the log
	later   [][]byte // and what of it follows
	pacing  pacing
}

// take appends what the client has not got of one stream, about a quantum of
// it.
func (c *conn) take(out []byte, s *sub) []byte {
	if len(s.pending) == 0 && len(s.later) > 0 {
		s.pending, s.later = s.later[0], s.later[1:]
	}
	if len(s.pending) == 0 {
		var batch stream.Batch
		if s.pacing.steps > 0 {
			batch = c.readPaced(s)
		} else {
			batch = s.log.Read(s.cursor, quantum)
		}
		s.cursor = batch.Next
		s.pending = batch.Frames
		c.hub.skipped.Add(batch.Skipped)
	}
	if len(s.pending) == 0 {
		return out
	}
	head, tail := stream.Split(s.pending, quantum)
	s.pending = tail
	if len(tail) == 0 {
		s.pending = nil
	}
	return append(out, head...)
}

// follow begins the default: everything the principal may see.
func (c *conn) follow() {
	c.following = true
	c.followAt = time.Time{}
	c.followVisible()
}

// followVisible attaches to what the principal may see, does not follow yet and
// has not unsubscribed.
func (c *conn) followVisible() {
	for _, id := range c.hub.Logs.Visible(c.principal) {
		if c.subs[id] == nil && !c.unwanted[id] {
			c.attach(id) //nolint:errcheck,gosec // it may have gone since; then there is nothing to follow
		}
	}
}

// errClosing is for who does something with a connection that is being closed.
var errClosing = thor.Errorf(thor.EUNAVAILABLE, "the connection is closing")

// attach begins to follow a stream with its snapshot. Whatever a client has
// asked for, a connection that is being closed follows nothing.
func (c *conn) attach(id thor.StreamID) (*sub, error) {
	if c.closing {
		return nil, errClosing
	}
	log, err := c.hub.Logs.Attach(c.principal, id)
	if err != nil {
		return nil, err
	}
	s := c.subs[id]
	if s == nil {
		s = &sub{id: id}
		c.subs[id] = s
		c.order = append(c.order, s)
	}
	s.begin(log)
	return s, nil
}

// begin starts over with the snapshot of a log.
func (s *sub) begin(log *stream.Log) {
	snapshot := log.Snapshot()
	s.log, s.epoch = log, snapshot.At.Epoch
	s.pending, s.later, s.cursor = snapshot.Frames, nil, snapshot.At.Seq+1
	s.pacing.through = 0
}

// detach stops following a stream.
func (c *conn) detach(id thor.StreamID) {
	if s := c.subs[id]; s != nil {
		delete(c.subs, id)
		c.order = slices.DeleteFunc(c.order, func(o *sub) bool { return o == s })
	}
}

// end stops following a stream that was closed, and says so.
func (c *conn) end(s *sub) {
	c.detach(s.id)
	c.send(encode("reset", nil, resetData{Stream: s.id, Epoch: s.epoch, Reason: "off"}))
}

// tellCadences tells the client of the streams it may see how often they speak from
// now on, also of those it has not asked for yet.
func (c *conn) tellCadences(cadences map[thor.StreamID]time.Duration) {
	if !c.greeted() {
		return // hello will say it
	}
	streams := map[thor.StreamID]streamInfo{}
	for _, id := range c.hub.Logs.Visible(c.principal) {
		if cadence, ok := cadences[id]; ok {
			streams[id] = streamInfo{CadenceMS: cadence.Milliseconds()}
		}
	}
	if len(streams) > 0 {
		c.send(encode("cadence", nil, cadenceData{Streams: streams}))
		c.flush()
	}
}

// reattach looks again at the logs after some came or went: a stream that was
// closed ends with a reset, one that was made anew goes on, and by default new
// ones are followed.
func (c *conn) reattach() {
	if c.closing || !c.greeted() {
		return
	}
	for _, s := range slices.Clone(c.order) {
		if !s.log.Ended() {
			continue
		}
		log, err := c.hub.Logs.Attach(c.principal, s.id)
		switch {
		case err != nil:
			c.end(s)
		case log.Version().Epoch != s.epoch:
			s.begin(log)
			c.send(encode("reset", nil, resetData{Stream: s.id, Epoch: s.epoch, Reason: "epoch_changed"}))
		default:
			s.log = log // the cursor stands; what is missing comes with a gap
		}
	}
	if c.following {
		c.followVisible()
	}
}

// resumption is a subscribe with resume points that are older than the logs.
type resumption struct {
	command command
	replays map[thor.StreamID]*replay // nil where the store no longer has them
}

// subscribe attaches to what the command asks for. Where a resume point lies
// below what the log holds, the store is asked first, off the shard.
func (c *conn) subscribe(ctx context.Context, cmd command) {
	old := map[thor.StreamID]uint64{}
	for id, from := range cmd.Resume {
		log, err := c.hub.Logs.Attach(c.principal, id)
		if err != nil || !slices.Contains(cmd.Streams, id) {
			continue
		}
		at := log.Version()
		if from.Epoch != at.Epoch || from.Seq > at.Seq || at.Seq-from.Seq > maxReplay {
			continue
		}
		if !log.Holds(from.Seq + 1) {
			old[id] = from.Seq
		}
	}
	r := &resumption{command: cmd, replays: map[thor.StreamID]*replay{}}
	if len(old) == 0 {
		c.finishSubscribe(r)
		return
	}
	c.reading = c.hub.spawn(func() {
		ctx, cancel := context.WithTimeout(ctx, replayWait)
		defer cancel()
		for id, after := range old {
			read, err := c.hub.replays.since(ctx, id, after)
			if err != nil && thor.ErrorCode(err) != thor.ENOTFOUND { // the client gets the snapshot
				c.hub.Logger.Error("read for a resume", slog.String("stream", string(id)), slog.Any("error", err))
			}
			r.replays[id] = read
		}
		c.shard.post(event{kind: eventResumed, conn: c, resume: r})
	})
}

// resumed goes on with a subscribe when the store has answered, and with what
// the client said in the meantime.
func (c *conn) resumed(ctx context.Context, r *resumption) {
	held := c.held
	c.reading, c.held = false, nil
	if c.closing {
		return
	}
	c.finishSubscribe(r)
	c.receive(ctx, held)
}

// finishSubscribe attaches and answers.
func (c *conn) finishSubscribe(r *resumption) {
	answer := subscribedData{Streams: map[thor.StreamID]subscribedStream{}}
	for _, id := range r.command.Streams {
		s, err := c.attach(id)
		if err != nil {
			if old := c.subs[id]; old != nil { // closed since the last sweep; nothing more comes of it
				c.end(old)
			}
			c.fail(r.command.ID, err)
			continue
		}
		told := subscribedStream{Conflated: r.command.MaxHz > 0, MaxHz: r.command.MaxHz}
		s.pacing = newPacing(r.command.MaxHz)
		if from, ok := r.command.Resume[id]; ok {
			replayed, recovered := s.resume(from, r.replays[id])
			told.Recovered, told.Replayed = &recovered, replayed
		}
		told.Epoch, told.Seq = s.epoch, s.cursor-1
		answer.Streams[id] = told
	}
	c.send(encode("subscribed", r.command.ID, answer))
}

// resume replaces the snapshot a sub has begun with by what follows the resume
// point, from the log or from the store. Otherwise the snapshot stands.
func (s *sub) resume(from resumePoint, stored *replay) (replayed uint64, recovered bool) {
	if from.Epoch != s.epoch {
		return 0, false
	}
	if spans, next, ok := s.log.Replay(from.Seq + 1); ok {
		s.pending, s.later, s.cursor = nil, spans, next
		return s.cursor - 1 - from.Seq, true
	}
	if stored == nil || stored.next < s.cursor && !s.log.Holds(stored.next) {
		return 0, false
	}
	s.pending, s.later, s.cursor = stored.frames, nil, stored.next
	return stored.count, true
}
