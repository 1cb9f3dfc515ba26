// tasks.go - the peer of tasks.c and sleepers.c: goroutines that take turns, live and end, or sleep, on one thread.
//
// tasks, or tasks COUNT: how much memory so many sleeping goroutines take.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tasks = 1000
	turns = 2000
	lives = 1000 * 1000
)

func takeTurns() time.Duration {
	var group sync.WaitGroup
	begun := time.Now()
	for i := 0; i < tasks; i++ {
		group.Add(1)
		go func() {
			for i := 0; i < turns; i++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	return time.Since(begun)
}

func live() time.Duration {
	done := make(chan struct{})
	begun := time.Now()
	for i := 0; i < lives; i++ {
		go func() { done <- struct{}{} }()
		<-done
	}
	return time.Since(begun)
}

func resident() int {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if words := strings.Fields(lines.Text()); words[0] == "VmRSS:" {
			kilobytes, _ := strconv.Atoi(words[1])
			return kilobytes * 1024
		}
	}
	return 0
}

func sleep(count int) {
	var started sync.WaitGroup
	before, begun := resident(), time.Now()
	started.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			started.Done()
			time.Sleep(time.Hour)
		}()
	}
	started.Wait()
	taken := time.Since(begun)
	fmt.Printf("{\"bytes_per_task\": %.1f, \"ns_per_task\": %.1f}\n", float64(resident()-before)/float64(count),
		float64(taken.Nanoseconds())/float64(count))
}

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) > 1 {
		count, _ := strconv.Atoi(os.Args[1])
		sleep(count)
		return
	}
	fmt.Printf("{\"ns_per_turn\": %.2f, \"ns_per_life\": %.2f}\n", float64(takeTurns().Nanoseconds())/tasks/turns,
		float64(live().Nanoseconds())/lives)
}
