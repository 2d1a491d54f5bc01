"""One module for each format of package; each has `build(contents, release, platform, out)`, which gives the files that it made."""
