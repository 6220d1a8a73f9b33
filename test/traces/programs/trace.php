<?php
function parse($text) { if (!is_numeric($text)) throw new InvalidArgumentException("no number: $text"); return (int) $text; }
function load($text) { try { return parse($text); } catch (InvalidArgumentException $e) { throw new RuntimeException("cannot load order", 7, $e); } }
error_log("worker started");
try { load("x3"); } catch (Exception $e) { error_log("load failed: " . $e); }
error_log("between");
echo $undefined;
trigger_error("something is deprecated", E_USER_DEPRECATED);
error_log("before the end");
load("x4");
