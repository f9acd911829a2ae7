// Package plugin does what a plugin should not do, one handler each; and some behave, to see that
// they still can.
package plugin

import (
	"os"
	"runtime"
	"sync"
	"time"

	"conche.dev/conche"
)

// Plugin is what the host loads.
var Plugin = conche.New(
	conche.Query(throw, "cyverse.hostile.Throw"),
	conche.Query(loop, "cyverse.hostile.Loop"),
	conche.Query(allocate, "cyverse.hostile.Allocate"),
	conche.Query(fine, "cyverse.hostile.Fine"),
	conche.Event(throwEvent, "org.cyverse.events.hostile.Throw"),

	conche.Query(dereference, "cyverse.hostile.Nil"),
	conche.Query(index, "cyverse.hostile.Index"),
	conche.Query(recurse, "cyverse.hostile.Recurse"),
	conche.Query(exit, "cyverse.hostile.Exit"),
	conche.Query(goexit, "cyverse.hostile.Goexit"),
	conche.Query(waitForever, "cyverse.hostile.Deadlock"),
	conche.Query(churn, "cyverse.hostile.Churn"),
	conche.Query(concur, "cyverse.hostile.Concur"),
)

func throw(any) (any, error) { panic("thrown on purpose") }

func throwEvent(any) error { panic("thrown on purpose") }

func loop(any) (any, error) {
	for {
	}
}

func allocate(any) (any, error) {
	var hoard [][]byte
	for {
		hoard = append(hoard, make([]byte, 1<<20))
	}
}

func fine(any) (map[string]bool, error) { return map[string]bool{"ok": true}, nil }

// Node of a list that ends where nobody looks.
type Node struct {
	Value int
	Next  *Node
}

func dereference(node Node) (int, error) { return node.Next.Value, nil }

func index(numbers []int) (int, error) { return numbers[len(numbers)], nil }

func recurse(depth int) (int, error) {
	deeper, err := recurse(depth + 1)
	return deeper + depth, err
}

func exit(any) (any, error) {
	os.Exit(3)
	return nil, nil
}

func goexit(any) (any, error) {
	runtime.Goexit()
	return nil, nil
}

func waitForever(any) (any, error) {
	<-make(chan int)
	return nil, nil
}

// churn leaves behind more than there is room for, little by little and in large pieces.
func churn(megabytes int) (int, error) {
	left := 0
	for range megabytes {
		large := make([]byte, 1<<19)
		small := make([][]byte, 1<<10)
		for i := range small {
			small[i] = make([]byte, 1<<9)
		}
		left += len(large) + len(small)<<9
	}
	return left >> 20, nil
}

// concur lets goroutines sleep, the first for the longest.
func concur(count int) ([]int, error) {
	var order []int
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() {
			time.Sleep(time.Duration(count-i) * 2 * time.Millisecond)
			order = append(order, i)
		})
	}
	all.Wait()
	return order, nil
}
