package hub

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"thor"
)

// Bounds of what a client may say.
const (
	maxStreams = 200       // a message may name; an answer for each must fit what is kept for a client
	maxClient  = 128       // characters of the name a client gives itself
	maxID      = 128       // characters of a message's id, which is echoed
	maxSeq     = 1<<53 - 1 // the greatest whole number every client can write
)

// command is what a client may send. Members that do not belong to its type are
// ignored, whatever they are.
type command struct {
	Type    string
	ID      json.RawMessage
	Streams []thor.StreamID
	Resume  map[thor.StreamID]resumePoint
	MaxHz   int // one of [rates]; 0 is every entry
	Token   string
	Client  string
	Ack     Ack
	Report  Report

	members map[string]json.RawMessage
}

// resumePoint is the version a client has of a stream.
type resumePoint struct {
	Epoch string
	Seq   uint64
}

// parseCommand reads a message. When the id can be read it is returned even if
// the rest is wrong.
func parseCommand(message []byte) (command, error) {
	var cmd command
	if err := json.Unmarshal(message, &cmd.members); err != nil || cmd.members == nil {
		return command{}, thor.Errorf(thor.EINVALID, "the message cannot be read: %v", notAnObject(err)).
			WithHint(`A message is a JSON object with a type, for instance {"type":"ping"}.`)
	}
	o := object{members: cmd.members}
	if id := cmd.members["id"]; isID(id) {
		cmd.ID = id
	} else if o.has("id") {
		return cmd, wrong("id", "must be a string or a number of at most %d characters", maxID)
	}
	cmd.Type = o.text("type", maxID)
	switch cmd.Type {
	case "subscribe":
		cmd.Streams = o.streams("streams")
		cmd.Resume = o.resume("resume")
		cmd.MaxHz = o.rate("max_hz")
		cmd.Client = o.text("client", maxClient)
	case "unsubscribe":
		cmd.Streams = o.streams("streams")
	case "auth":
		cmd.Token = o.text("token", maxMessage)
		cmd.Client = o.text("client", maxClient)
	case "cutover_ack":
		cmd.Ack = o.ack()
	case "parity_report":
		cmd.Report = o.report()
	}
	return cmd, o.fault
}

// notAnObject says in the words of the protocol what is wrong with a message
// that is JSON and no object.
func notAnObject(err error) error {
	if err == nil || isTypeError(err) {
		return errors.New("it is not a JSON object")
	}
	return err
}

func isTypeError(err error) bool {
	_, ok := errors.AsType[*json.UnmarshalTypeError](err)
	return ok
}

func isID(raw json.RawMessage) bool { return isScalar(raw) && len(raw) <= maxID }

func isScalar(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] != '{' && raw[0] != '[' }

// wrong is the fault of one member.
func wrong(path, format string, args ...any) *thor.Error {
	err := thor.Errorf(thor.EINVALID, path+": "+format, args...)
	err.Path = path
	return err
}

// object reads the members of a JSON object and keeps the first fault. A member
// that is null is absent.
type object struct {
	members map[string]json.RawMessage
	path    string // in front of the names: "", or one that ends with a dot
	fault   error
}

func (o *object) has(name string) bool {
	raw, ok := o.members[name]
	return ok && string(raw) != "null"
}

func (o *object) wrong(name, format string, args ...any) {
	if o.fault == nil {
		o.fault = wrong(o.path+name, format, args...)
	}
}

// read decodes a member; it is false when it is absent or of another type.
func (o *object) read(name string, into any, kind string) bool {
	if !o.has(name) {
		return false
	}
	if json.Unmarshal(o.members[name], into) != nil {
		o.wrong(name, "must be %s", kind)
		return false
	}
	return true
}

// text reads a string of at most so many bytes.
func (o *object) text(name string, longest int) string {
	var s string
	if o.read(name, &s, "a string") && len(s) > longest {
		o.wrong(name, "may be %d characters long", longest)
	}
	return s
}

// whole reads a whole number, 0 when it is absent.
func (o *object) whole(name string, greatest uint64) uint64 {
	var n uint64
	kind := "a whole number of at most " + strconv.FormatUint(greatest, 10)
	if o.read(name, &n, kind) && n > greatest {
		o.wrong(name, "must be %s", kind)
	}
	return n
}

// milliseconds reads a duration of at most so long; nil when it is absent.
func (o *object) milliseconds(name string, longest time.Duration) *time.Duration {
	var ms float64
	if !o.read(name, &ms, "a number of milliseconds") {
		return nil
	}
	if ms < 0 || ms > float64(longest.Milliseconds()) {
		o.wrong(name, "must be from 0 to %d milliseconds", longest.Milliseconds())
		return nil
	}
	d := time.Duration(ms * float64(time.Millisecond))
	return &d
}

// object reads an object within this one.
func (o *object) object(name string) *object {
	within := &object{path: o.path + name + "."}
	o.read(name, &within.members, "an object")
	return within
}

// take keeps the fault of an object within this one.
func (o *object) take(within *object) {
	if o.fault == nil {
		o.fault = within.fault
	}
}

// streams reads a list of stream ids.
func (o *object) streams(name string) []thor.StreamID {
	var ids []thor.StreamID
	o.read(name, &ids, "a list of stream ids")
	if len(ids) > maxStreams {
		o.wrong(name, "%d streams in one message, at most %d are taken", len(ids), maxStreams)
		return nil
	}
	for i, id := range ids {
		if err := id.Validate(); err != nil {
			o.wrong(name+"."+strconv.Itoa(i), "%v", err)
		}
	}
	return ids
}

// resume reads the versions a client has, by stream.
func (o *object) resume(name string) map[thor.StreamID]resumePoint {
	points := o.object(name)
	resume := make(map[thor.StreamID]resumePoint, len(points.members))
	for id := range points.members {
		if thor.StreamID(id).Validate() != nil {
			points.wrong(strconv.Quote(id[:min(len(id), maxID)]), "is not a stream id")
			break
		}
		point := points.object(id)
		if !points.has(id) || !point.has("epoch") || !point.has("seq") {
			points.wrong(id, `must be an object with epoch and seq`)
		}
		resume[thor.StreamID(id)] = resumePoint{Epoch: point.text("epoch", maxID), Seq: point.whole("seq", maxSeq)}
		points.take(point)
	}
	o.take(points)
	return resume
}

// rate reads max_hz and rounds it down to one of [rates]; 0 when it is absent.
func (o *object) rate(name string) int {
	var hz float64
	if !o.read(name, &hz, "a number") {
		return 0
	}
	if hz < 1 {
		o.wrong(name, "must be at least 1; leave it out for every entry")
		return 0
	}
	return roundRate(hz)
}
