create a hash:ip initval 1\nadd a 1.1.1.1\n# comment\n\n  add a 1.1.1.2  \nadd a 1.1.1.1\nadd a 1.1.1.3\n | restore
create b hash:ip comment initval 2\nadd b 1.1.1.1 comment "x y"\nlist b\ntest b 1.1.1.1\ntest b 1.1.1.2\nadd b 1.1.1.3\n | restore
create c hash:ip initval 3\nbogus\n | restore
add nope 1.1.1.1\n | restore
create d hash:ip initval 4\nadd d 1.1.1.1\nadd d foo\n | restore
save d
create e hash:ip initval 5\nCOMMIT\nadd e 1.1.1.1\ndestroy d\nrename e f\nswap a b\nflush a\nsave\n | restore
add a 1.1.1.1 comment "abc\n | restore
add e 1.1.1.1\nlist\n | restore
add a 1.2.3.4\nquit\nadd a 1.2.3.5 | restore
-exist add a 1.2.3.4\n-! add a 1.2.3.5\n add a 1.2.3.6 | restore
add a 1.2.3.4 comment foo -exist\nhelp | restore
test b 9.9.9.9\nadd b 9.9.9.9 | restore
create z hash:ip foo\n | restore
create\n | restore
add z\n | restore
create y hash:ip timeout\n | restore
destroy nope\n | restore
del b 1.1.1.1\ndel b 1.1.1.1 | restore
create g hash:ip initval 6\nadd g 1.1.1.1\nadd g 1.1.1.2\ncreate g hash:ip initval 7\nadd g 1.1.1.4 | restore
create h hash:ip initval 6\nadd h 1.1.1.1\nadd h 1.1.1.2\ndel h 1.1.1.3\nadd h 1.1.1.4 | restore
create i hash:ip initval 8\nlist i\nadd i 1.1.1.1\nlist i\nsave i\n | restore
create j hash:ip comment counters initval 9\nadd j 1.1.1.1 comment "a b" packets 3\nadd j 1.1.1.3 comment ""\n | restore
create k hash:ip # foo\nadd k 1.1.1.1 #x\n | restore
-exist create l hash:ip initval 9\n-exist add l 1.1.1.1\nadd l 1.1.1.1\n | restore
create m hash:ip initval 9\r\nadd m 1.1.1.1\r\n | restore
add m 1.1.1.1 | -exist restore
add m 1.1.1.1 | -q restore
add m 1.1.1.1 | restore foo
save
