#!/usr/bin/env python3
"""Real BIRD 2 daemons in namespaces on one switch: record.py CASE...   (as root)
A case is a folder with nodeN.conf and recorded.bird-2.0.12.txt, whose steps are done again."""
import re, subprocess, sys, time, os, signal
SOCK="/run/bird-n%s.ctl"
def sh(c, **k): return subprocess.run(c, shell=True, capture_output=True, text=True, **k)
def clean(t):
    t=re.sub(r"\d{4}-\d\d-\d\d ", "DATE ", t)
    t=re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", t)
    t=re.sub(r"((timer|wait|delay): +)[\d.]+/", r"\1SECONDS/", t)
    t=re.sub(r"fe80::[0-9a-f:]+", "LINK-LOCAL", t)
    t=re.sub(r"Hostname is .*", "Hostname is HOST", t)
    return t
def down(daemons):
    for d in daemons.values(): d.kill(); d.wait()
    for n in ["sw","1","2","3"]: sh(f"ip netns del br{n}")
for case in sys.argv[1:]:
    daemons={}; out=[]
    try:
        sh("ip netns add brsw; ip -n brsw link add sw type bridge; ip -n brsw link set sw up")
        for n in "123":
            sh(f"""ip netns add br{n}; ip -n brsw link add p{n} master sw type veth peer name eth0 netns br{n}; ip -n brsw link set p{n} up
            ip netns exec br{n} sysctl -q net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
            ip -n br{n} link set lo up; ip -n br{n} link set eth0 up; ip -n br{n} addr add 192.168.0.{n}/24 dev eth0""")
        time.sleep(1); node=None
        recorded=open(f"{case}/recorded.bird-2.0.12.txt").read().split("\n")
        for line in [line for line in recorded if re.match(r"# |## |bird> |\$ ", line)]:
            out.append(line+"\n")
            if line.startswith("# sleep "): time.sleep(float(line[8:]))
            elif line.startswith("# start "):
                for n in line[8:].split():
                    daemons[n]=subprocess.Popen(["ip","netns","exec","br"+n,"/usr/sbin/bird","-f","-c",os.path.abspath(f"{case}/node{n}.conf"),"-s",SOCK%n,"-P",(SOCK%n)+".pid"],stdin=subprocess.DEVNULL,stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL)
            elif line.startswith("# crash "): n=line[8:]; sh(f"kill -9 $(cat {SOCK%n}.pid)"); daemons[n].wait(10)
            elif line.startswith("# kill "): n=line[7:]; sh(f"kill $(cat {SOCK%n}.pid)"); daemons[n].wait(10)
            elif line.startswith("# "): pass
            elif line.startswith("## node"): node=line[7:]
            elif line.startswith("bird> "):
                r=subprocess.run(["/usr/sbin/birdc","-s",SOCK%node]+[line[6:]],stdin=subprocess.DEVNULL,capture_output=True,text=True,timeout=20)
                t=r.stdout.split("\n",1)[1] if r.stdout.startswith("BIRD ") else r.stdout
                out.append(clean(t+r.stderr).replace(os.getcwd()+"/"+case+"/","/etc/bird/"))
            elif line.startswith("$ "): r=sh(f"ip netns exec br{node} {line[2:]}"); out.append(r.stdout+r.stderr)
        open(f"{case}/recorded.bird-2.0.12.txt","w").write("".join(out))
    finally: down(daemons)
