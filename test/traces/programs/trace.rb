require "logger"
$stderr.sync = true
log = Logger.new($stderr)
class OrderError < StandardError; end
def parse(text) = Integer(text)
def load(text)
  parse(text)
rescue ArgumentError => e
  raise OrderError, "cannot load #{text}"
end
log.info("worker started")
begin; load("x3"); rescue => e; log.error(e); end
log.warn("between")
begin; load("x4"); rescue => e; $stderr.puts e.full_message(highlight: false); end
log.info("before a thread")
t = Thread.new { Thread.current.name = "loader"; nil.rows }
begin; t.join; rescue NoMethodError; end
log.info("after a thread")
begin; [].frist; rescue NoMethodError => e; $stderr.puts e.full_message(highlight: false, order: :top); end
log.info("last")
load("x5")
