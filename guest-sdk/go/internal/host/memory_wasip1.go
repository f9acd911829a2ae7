package host

import "unsafe"

// What the host hands over, it first asks room for, and meanwhile the component model forbids every
// import. But Go looks at the clock when the heap grows, and in a collection, which also lets other
// goroutines run. So the clock stands still then, and no collection begins.

//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused bool)

// A collection does not begin while its goroutine is pinned to the one processor there is.
//
//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

var (
	started bool
	// Holds what the adapter from preview 1 asks for before there is an allocator: a stack and its
	// own state, 64 KiB each.
	early     [3 << 16]byte
	earlyUsed uintptr

	// Keeps what was given room for alive until it is read.
	given [][]uint64
	// How many are reading: goroutines may take turns in the middle of it.
	readers int
)

func init() { started = true }

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	if !started {
		return takeEarly(uintptr(align), uintptr(size))
	}
	procPin()
	pauseClock(true)
	room := make([]uint64, (uintptr(size)+7)/8+1) // never empty: it has an address
	if old != nil {
		copy(bytesAt(unsafe.Pointer(&room[0]), size), bytesAt(old, oldSize))
	}
	given = append(given, room)
	pauseClock(false)
	procUnpin()
	return unsafe.Pointer(&room[0])
}

func takeEarly(align, size uintptr) unsafe.Pointer {
	start := uintptr(unsafe.Pointer(&early))
	at := (start+earlyUsed+align-1)&^(align-1) - start
	earlyUsed = at + size
	return unsafe.Pointer(&early[at : at+size][0])
}

// beginReading comes before the host writes what is to be read, endReading when all of it is.
func beginReading() { readers++ }

func endReading() {
	if readers--; readers == 0 {
		clear(given)
		given = given[:0]
	}
}

// at is the pointer that an address in the layout of a record stands for.
func at(address uint32) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(nil), address)
}

func bytesAt(start unsafe.Pointer, count uint32) []byte {
	return unsafe.Slice((*byte)(start), count)
}
