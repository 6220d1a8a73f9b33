console.error("before throw of a text");
throw "just a text";
