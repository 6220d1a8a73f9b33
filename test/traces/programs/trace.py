import logging, sys, traceback, threading, warnings
logging.basicConfig(format="%(asctime)s %(levelname)-8s %(name)s: %(message)s", stream=sys.stderr)
log = logging.getLogger("worker"); log.setLevel(logging.INFO)
def fetch(row): return 10 / row["n"]
def handle(rows):
    for r in rows:
        try: fetch(r)
        except ZeroDivisionError as e: raise ValueError(f"bad row {r!r}") from e
log.info("worker started")
try: handle([{"n": 1}, {"n": 0}])
except ValueError: log.exception("handle failed")
log.info("between")
try:
    try: int("x")
    except ValueError: {}["missing"]
except KeyError: traceback.print_exc()
log.info("between")
try: raise ExceptionGroup("several", [ValueError("one"), TypeError("two"), ExceptionGroup("inner", [OSError("three")])])
except ExceptionGroup: log.exception("group")
warnings.warn("deprecated thing")
def deep(n): return deep(n - 1) if n else [][1]
try: deep(20)
except IndexError: traceback.print_exc()
try: compile("foo(\n  1 +\n", "<config>", "exec")
except SyntaxError: traceback.print_exc()
log.info("before a thread")
t = threading.Thread(target=lambda: fetch({}), name="loader"); t.start(); t.join()
log.info("after a thread")
try: raise ValueError("first line\nsecond line")
except ValueError: traceback.print_exc()
log.info("last")
def rec(): rec()
rec()
