package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// Everything random here is a hash of what it is for, so that it can be asked
// for in any order. All of it is integer arithmetic: the last bit of a float
// may differ between platforms.

const (
	step = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio: the step of SplitMix64

	// bellScale is the standard deviation of [bell]: 2^16/√3.
	bellScale = 37837
)

// digest is four independent random words for a text.
type digest [4]uint64

// digestOf hashes a seed and what the words are for.
func digestOf(seed uint64, parts ...string) digest {
	text := strconv.AppendUint([]byte("thor sim 1|"), seed, 10)
	for _, part := range parts {
		text = append(append(text, '|'), part...)
	}
	sum := sha256.Sum256(text)
	var d digest
	for i := range d {
		d[i] = binary.BigEndian.Uint64(sum[8*i:])
	}
	return d
}

// mix is the output function of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hash is the n-th word of the sequence that belongs to seed.
func hash(seed uint64, n int64) uint64 {
	return mix(seed + uint64(n)*step) //nolint:gosec // it wraps on purpose
}

// bell turns a random word into a number that is nearly normally distributed
// around 0: the sum of its four 16-bit lanes. It lies within ±131070, which is
// 3.46 times its standard deviation, [bellScale].
func bell(word uint64) int64 {
	const lane = 0xffff
	sum := word&lane + word>>16&lane + word>>32&lane + word>>48
	return int64(sum) - 2*lane
}

// stream is a sequence of random words.
type stream uint64

func (s *stream) next() uint64 {
	*s += step
	return mix(uint64(*s))
}

// below returns a number from 0 to n−1.
func (s *stream) below(n int64) int64 {
	return int64(s.next()>>1) % n
}

// root is the integer square root of n, which is not negative.
func root(n int64) int64 {
	var r int64
	for bit := int64(1) << 62; bit != 0; bit >>= 2 {
		if n >= r+bit {
			n -= r + bit
			r = r>>1 + bit
		} else {
			r >>= 1
		}
	}
	return r
}

// divide is n ÷ d rounded half-even; d is positive.
func divide(n, d int64) int64 {
	quotient, rest := n/d, n%d
	if rest < 0 {
		quotient, rest = quotient-1, rest+d
	}
	if rest > d-rest || rest == d-rest && quotient%2 != 0 {
		quotient++
	}
	return quotient
}

// exp2 is 2 to the power of x, both of 1<<16, to a fifth of a percent.
func exp2(x int64) int64 {
	whole, part := x>>16, x&0xffff
	power := 1<<16 + part*(43_024+22_512*part>>16)>>16
	if whole < 0 {
		return power >> -whole
	}
	return power << whole
}
