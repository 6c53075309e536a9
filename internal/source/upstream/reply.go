package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"thor/internal/source"
)

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	data   []byte
}

// status turns what is not a 200 into an error.
func (*client) status(f fault, got reply) error {
	status := got.status
	if status == http.StatusOK {
		return nil
	}
	words := got.said()
	switch {
	case status == http.StatusUnauthorized:
		return f.fail(source.AuthExpired, status, "it was refused with 401%s", words)
	case status == http.StatusForbidden:
		return f.hint(source.Forbidden, status, "Ask whoever runs the backend whether this user may read it.", "it is forbidden, 403%s", words)
	case status == http.StatusNotFound:
		return f.hint(source.NotSupported, status, "Compare the path with the backend's, the slash at its end too.", "there is no such thing, 404%s", words)
	case status == http.StatusTooManyRequests:
		err := f.fail(source.RateLimited, status, "it was too often, 429%s", words)
		err.RetryAt = retryAt(got.header, time.Now(), pause)
		return err
	case status >= http.StatusInternalServerError:
		err := f.fail(source.Transient, status, "the backend failed with %d%s", status, words)
		err.RetryAt = retryAt(got.header, time.Now(), 0)
		return err
	case status == http.StatusNotModified || status < http.StatusBadRequest:
		return f.fail(source.BadData, status, "it answered with %d%s, which has no value", status, words)
	}
	return f.hint(source.NotSupported, status, "Compare the path and its parameters with the backend's.", "it did not understand, %d%s", status, words)
}

// retryAt is when a backend wants to be asked again, and not in a day. A wait of
// zero is none.
func retryAt(h http.Header, now time.Time, wait time.Duration) time.Time {
	at := time.Time{}
	if wait > 0 {
		at = now.Add(wait)
	}
	if text := h.Get("Retry-After"); text != "" {
		if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
			at = now.Add(min(maxWait, time.Duration(min(seconds, int(maxWait/time.Second)))*time.Second))
		} else if date, err := http.ParseTime(text); err == nil {
			at = date
		}
	} else if reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		at = time.Unix(reset, 0)
	}
	if at.After(now.Add(maxWait)) {
		at = now.Add(maxWait)
	}
	return at
}

var title = regexp.MustCompile(`(?is)<title>\s*(.*?)\s*</title>`)

// said is what an answer says of itself in words, for the end of a sentence.
func (r reply) said() string {
	var problem struct {
		Detail  any
		Code    any
		Message any
		Title   any
	}
	switch {
	case r.isPage():
		if m := title.FindSubmatch(r.data); m != nil {
			return fmt.Sprintf(": a web page with the title %q", shorten(scrub(string(m[1])), 80))
		}
		return ": a web page"
	case json.Unmarshal(r.data, &problem) == nil:
		for _, v := range []any{problem.Detail, problem.Message, problem.Title} {
			if text, ok := v.(string); ok && text != "" {
				if code, ok := problem.Code.(string); ok && code != "" {
					text += " (" + code + ")"
				}
				return ": " + shorten(scrub(text), 200)
			}
		}
	}
	return ""
}

func (r reply) isPage() bool {
	return strings.Contains(r.header.Get("Content-Type"), "html") || bytes.HasPrefix(bytes.TrimSpace(r.data), []byte("<"))
}

// parse reads JSON with the digits of its numbers as they are.
func parse(f fault, got reply) (any, error) {
	if got.isPage() {
		return nil, f.hint(source.BadData, got.status,
			"Is this the backend itself, and not its front page or a sign-in of a proxy?", "it is not JSON%s", got.said())
	}
	decoder := json.NewDecoder(bytes.NewReader(got.data))
	decoder.UseNumber()
	var body any
	err := decoder.Decode(&body)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, f.fail(source.Transient, got.status, "only a part of the answer came, %d bytes", len(got.data))
	case err != nil:
		return nil, f.hint(source.BadData, got.status, "NaN and Infinity, which Python writes, are not JSON.",
			"the answer is not JSON: %v, at byte %d", err, decoder.InputOffset())
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, f.bad("there is more behind the JSON, at byte %d", decoder.InputOffset())
	}
	return body, nil
}
