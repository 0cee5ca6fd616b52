std = "lua54"
max_line_length = 150
files["policies"] = {read_globals = {"relay"}}
files["tests/spec"] = {std = "lua54+busted"}
exclude_files = {".luacheckrc"}
