package frontdoor

import "crypto/tls"

// Trust makes the door trust the authorities of tests.
func (d *Door) Trust(c *tls.Config) { d.transport.TLSClientConfig = c }
