//go:build race

package calendar_test

const stride = 5
