process.stdout.write("bookinfo: the launcher is not written yet\n");
