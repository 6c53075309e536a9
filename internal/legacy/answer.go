package legacy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"strings"
	"time"

	"thor"
)

// answer is a status and what is written as JSON.
type answer struct {
	status int
	body   any
}

func ok(body any) answer { return answer{http.StatusOK, body} }

// detail is how the original says what is wrong.
func detail(status int, words string) answer {
	return answer{status, struct {
		Detail string `json:"detail"`
	}{words}}
}

func (a answer) write(w http.ResponseWriter, r *http.Request, tag bool) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(a.body); err != nil {
		panic("legacy: an answer does not encode: " + err.Error()) // they are all ours
	}
	data := bytes.TrimSuffix(body.Bytes(), []byte("\n"))
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Vary", "Accept, origin")
	h.Set("Allow", "GET, HEAD, OPTIONS")
	if tag && a.status == http.StatusOK && r.Method != http.MethodPost {
		sum := sha256.Sum256(data)
		h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
		if r.Header.Get("If-None-Match") == h.Get("ETag") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(data) // who went away is not told
}

// redirectToSlash is what happens to a path that lacks its slash. A body would
// get lost on the way, so it is an error to send one.
func redirectToSlash(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		page(w, http.StatusInternalServerError, "RuntimeError",
			"You called this URL via "+r.Method+", but the URL doesn't end in a slash and you have APPEND_SLASH set.")
		return
	}
	to := *r.URL
	to.Path += "/"
	w.Header().Set("Location", to.RequestURI())
	w.WriteHeader(http.StatusMovedPermanently)
}

func notFoundPage(w http.ResponseWriter) {
	page(w, http.StatusNotFound, "Not Found", "The requested resource was not found on this server.")
}

// page is an error of the framework, which is HTML.
func page(w http.ResponseWriter, status int, title, words string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>"+title+"</title>\n</head>\n<body>\n  <h1>"+
		title+"</h1><p>"+html.EscapeString(words)+"</p>\n</body>\n</html>\n")
}

// float is a decimal as Python writes a float: without zeros at the end, but
// with one digit behind the point. Unknown is 0.0, as the original has it.
type float struct{ thor.Decimal }

// MarshalJSON implements [json.Marshaler].
func (f float) MarshalJSON() ([]byte, error) {
	if !f.Known() {
		return []byte("0.0"), nil
	}
	text := f.String()
	if !strings.Contains(text, ".") {
		return []byte(text + ".0"), nil
	}
	text = strings.TrimRight(text, "0")
	if strings.HasSuffix(text, ".") {
		text += "0"
	}
	return []byte(text), nil
}

// fixed is a decimal as a string with a fixed number of digits. Unknown is zero,
// as the original has it.
func fixed(d thor.Decimal, digits int32) string {
	if !d.Known() {
		d = thor.NewDecimal(0, 0)
	}
	return d.Round(digits).String()
}

// The digits of the original's columns.
const (
	moneyDigits    = 2
	priceDigits    = 6
	quantityDigits = 4
	percentDigits  = 2
)

func money(d thor.Decimal) string { return fixed(d, moneyDigits) }

// iso is a time as Python writes it, with or without its offset.
func iso(t time.Time, offset bool) string {
	layout := "2006-01-02T15:04:05"
	if t.Nanosecond()/1000 != 0 {
		layout += ".000000"
	}
	if offset {
		layout += "-07:00"
	}
	return t.Format(layout)
}
