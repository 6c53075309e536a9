package calendar

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

//go:embed data/*.json
var embedded embed.FS

// file is a calendar file that has been read.
type file struct {
	name string // as errors call it
	data []byte
}

// readFiles reads the files that match a pattern, in the order of their names.
func readFiles(from fs.FS, pattern string) ([]file, error) {
	names, err := fs.Glob(from, pattern)
	if err != nil {
		return nil, fmt.Errorf("list calendar files: %w", err)
	}
	files := make([]file, len(names))
	for i, name := range names {
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, fmt.Errorf("read calendar file: %w", err)
		}
		files[i] = file{name: name, data: data}
	}
	return files, nil
}

// load puts the exchanges of the embedded files and of the overrides together:
// first those that are whole, then the amendments to them.
func load(overrides [][]file) (map[string]*exchange, error) {
	builtIn, err := readFiles(embedded, "data/*.json")
	if err != nil {
		return nil, err
	}
	exchanges := make(map[string]*exchange)
	var amendments []*amendment
	for _, files := range append([][]file{builtIn}, overrides...) {
		found, failed := loadFiles(exchanges, files)
		amendments, err = append(amendments, found...), errors.Join(err, failed)
	}
	if err == nil {
		err = amend(exchanges, amendments)
	}
	if err == nil {
		err = build(exchanges)
	}
	if err == nil {
		err = distinctMarkets(exchanges)
	}
	return exchanges, err
}

// loadFiles reads files of one place. Their exchanges replace those of before,
// but not each other; their amendments it returns.
func loadFiles(exchanges map[string]*exchange, files []file) ([]*amendment, error) {
	var errs []error
	var amendments []*amendment
	loaded := make(map[string]*exchange)
	for _, f := range files {
		ex, a, err := parse(f)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if a != nil {
			amendments = append(amendments, a)
			continue
		}
		if other, ok := loaded[ex.mic]; ok {
			errs = append(errs, newFault(ex.at, "Keep one of the two files.", "the exchange %s is in %s already", ex.mic, other.at.file).err)
			continue
		}
		loaded[ex.mic] = ex
		exchanges[ex.mic] = ex
	}
	return amendments, errors.Join(errs...)
}

// build works out the sessions and tables of all exchanges.
func build(exchanges map[string]*exchange) error {
	var errs []error
	for _, mic := range slices.Sorted(maps.Keys(exchanges)) {
		errs = append(errs, exchanges[mic].build().err())
	}
	return errors.Join(errs...)
}

// distinctMarkets refuses a market that two exchanges have.
func distinctMarkets(exchanges map[string]*exchange) error {
	var errs []error
	owners := make(map[string]*market)
	for _, mic := range slices.Sorted(maps.Keys(exchanges)) {
		for _, m := range exchanges[mic].markets {
			if other, ok := owners[m.fixed.MarketID]; ok {
				errs = append(errs, newFault(m.at, "Give each market an id of its own.",
					"the market %q is on line %d of %s already", m.fixed.MarketID, other.at.line, other.at.file).err)
			}
			owners[m.fixed.MarketID] = m
		}
	}
	return errors.Join(errs...)
}
