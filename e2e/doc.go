// Package e2e tests the real binary: built, started, killed and started again,
// and looked at from outside as a plain client does. `make e2e` runs it.
package e2e
