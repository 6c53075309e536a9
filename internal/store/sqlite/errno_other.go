//go:build !unix

package sqlite

func isReadOnly(error) bool { return false }

func isFull(error) bool { return false }
