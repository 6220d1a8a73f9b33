using System;
using System.Threading.Tasks;
static class Trace {
  static int Parse(string text) { return int.Parse(text); }
  static void Load(string text) {
    try { Parse(text); } catch (FormatException e) { throw new InvalidOperationException("cannot load order " + text, e); }
  }
  static void Main() {
    Console.Error.WriteLine("worker started");
    try { Load("x3"); } catch (Exception e) { Console.Error.WriteLine(e); }
    Console.Error.WriteLine("between");
    try { Task.WaitAll(Task.Run(() => Parse("a")), Task.Run(() => Parse("b"))); } catch (Exception e) { Console.Error.WriteLine("tasks failed: " + e); }
    Console.Error.WriteLine("before the end");
    Load("x4");
  }
}
