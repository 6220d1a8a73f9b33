import java.util.*;
import java.util.concurrent.*;
public class Trace {
  static class OrderException extends RuntimeException { OrderException(String m, Throwable c) { super(m, c); } }
  static int parse(String s) { return Integer.parseInt(s); }
  static void load(String s) { try { parse(s); } catch (NumberFormatException e) { throw new OrderException("cannot load order \"" + s + "\"\n\tsecond line of the message", e); } }
  static int deep(int n) { return n == 0 ? parse("deep") : deep(n - 1); }
  public static void main(String[] a) throws Exception {
    System.err.println("2026-11-24 10:00:00,000 INFO  [main] shop.Report - starting");
    try { load("x3"); } catch (Exception e) { e.printStackTrace(); }
    System.err.println("2026-11-24 10:00:00,100 INFO  [main] shop.Report - between");
    try { deep(40); } catch (Exception e) { System.err.println("2026-11-24 10:00:00,200 ERROR [main] shop.Report - failed: " + e); for (StackTraceElement f : e.getStackTrace()) System.err.println("\tat " + f); }
    Exception outer = new Exception("outer");
    try { try { parse("a"); } catch (Exception e) { outer.initCause(new IllegalStateException("with suppressed", e)); outer.getCause().addSuppressed(new java.io.IOException("close failed", new RuntimeException("disk gone"))); }
      outer.addSuppressed(new TimeoutException()); throw outer; } catch (Exception e) { e.printStackTrace(); }
    System.err.println();
    System.err.println("2026-11-24 10:00:00,300 WARN  [main] shop.Report - a blank line before");
    ExecutorService pool = Executors.newFixedThreadPool(1);
    try { pool.submit(() -> { Object o = null; return o.toString(); }).get(); } catch (ExecutionException e) { e.printStackTrace(); }
    pool.shutdown();
    System.err.println("2026-11-24 10:00:00,400 INFO  [main] shop.Report - java.lang.Exception is only mentioned");
    try { stack(0); } catch (StackOverflowError e) { StackTraceElement[] t = Arrays.copyOf(e.getStackTrace(), 5); e.setStackTrace(t); e.printStackTrace(); }
    Object nothing = null; nothing.hashCode();
  }
  static int stack(int i) { return stack(i + 1) + 1; }
}
