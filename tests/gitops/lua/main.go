// Runs a Lua script as Argo CD runs the scripts of its ConfigMap: with the interpreter that it uses, and with the few
// libraries that it opens. The script is the argument, the object standard input; what is returned goes to standard
// output as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: lua SCRIPT < OBJECT")
	}
	var object any
	if err := json.NewDecoder(os.Stdin).Decode(&object); err != nil {
		return fmt.Errorf("the object is no JSON: %w", err)
	}
	// Without useOpenLibs there is no string, no math and no io library.
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		call := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return err
		}
	}
	// Only by require("os"), and only these two.
	state.PreloadModule(lua.OsLibName, func(state *lua.LState) int {
		state.Push(state.SetFuncs(state.NewTable(), map[string]lua.LGFunction{"time": now, "date": date}))
		return 1
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("actionParams", state.NewTable())
	state.SetGlobal("obj", luajson.DecodeValue(state, object))
	if err := state.DoString(os.Args[1]); err != nil {
		return err
	}
	output, err := luajson.Encode(state.Get(-1))
	if err != nil {
		return err
	}
	fmt.Println(string(output))
	return nil
}

func now(state *lua.LState) int {
	state.Push(lua.LNumber(time.Now().Unix()))
	return 1
}

// The one format that Argo CD's own scripts use.
func date(state *lua.LState) int {
	if format := state.CheckString(1); format != "!%Y-%m-%dT%XZ" {
		state.RaiseError("this runner knows only !%%Y-%%m-%%dT%%XZ, not %s", format)
	}
	state.Push(lua.LString(time.Now().UTC().Format("2006-01-02T15:04:05Z")))
	return 1
}
