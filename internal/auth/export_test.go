package auth

// Len is how many callers are remembered.
func (r *Rates) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.buckets)
}

// MaxGrants is how many tokens are remembered.
const MaxGrants = maxGrants

// Len is how many tokens are remembered.
func (g *Grants) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.known)
}
