//go:build !race

package calendar_test

// stride is how many minutes a walk over all of them takes at a time.
const stride = 1
