package main

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

type inventory struct{ items map[string]int }

//go:noinline
func (i *inventory) add(name string, n int) { i.items[name] = n }

type failure struct{ code int }

func (f failure) Error() string { return fmt.Sprintf("failed with\ncode %d", f.code) }

//go:noinline
func deep(n int) int { return deep(n+1) + 1 }

func main() {
	log.SetFlags(log.LstdFlags)
	log.Print("starting ", os.Args[1])
	switch os.Args[1] {
	case "map":
		(&inventory{}).add("x", 1)
	case "nil":
		var i *inventory
		fmt.Println(i.items)
	case "error":
		panic(failure{7})
	case "repanic":
		defer func() { panic(fmt.Errorf("again: %w", errors.New(fmt.Sprint(recover())))) }()
		panic("first")
	case "overflow":
		deep(0)
	case "deadlock":
		var m sync.Mutex
		m.Lock()
		m.Lock()
	case "quit":
		go func() { time.Sleep(time.Hour) }()
		go func() { time.Sleep(100 * time.Millisecond); syscall.Kill(os.Getpid(), syscall.SIGQUIT) }()
		time.Sleep(time.Hour)
	case "http":
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic("in a handler") }))
		http.Get(server.URL)
		log.Print("still alive")
	case "stack":
		os.Stderr.Write(debug.Stack())
		log.Print("still alive")
	case "writes":
		m := map[int]int{}
		for j := 0; j < 4; j++ {
			go func() { for { m[1]++ } }()
		}
		time.Sleep(time.Second)
	}
}
