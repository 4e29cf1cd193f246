brctl
brctl foo
brctl -V
brctl -x
brctl show
brctl show br0
brctl show v1
brctl show nope
brctl showstp br0
brctl showmacs br0
brctl showmacs
brctl showmacs nope
brctl showmacs v1
brctl showstp nope
brctl showstp v1
brctl addbr
brctl addbr br0
brctl addbr a/b
brctl addbr averyveryverylongname
brctl delbr averyveryverylo
brctl addif br0
brctl addif br0 v1
brctl addif br0 v2 nope
brctl addif nope v1
brctl addif br0 lo
brctl addif br0 br0
brctl addif v1 v2p
brctl show
brctl showstp br0
brctl showmacs br0
brctl delif br0 nope
brctl delif br0 v2p
brctl delif nope v1
brctl delif v1 v2
brctl delif br0 v2
brctl hairpin br0 v1 on
brctl hairpin br0 v1 maybe
brctl hairpin br0 v1
brctl hairpin br0 v2 on
brctl hairpin br0 nope on
brctl hairpin nope v2 on
brctl hairpin v1 v1p on
brctl setageing br0 100
brctl setageing br0 x
brctl setageing nope 100
brctl setageing v1 100
brctl setageing br0 -1
brctl setageing br0 0.5
brctl setageing br0
brctl setbridgeprio br0 100
brctl setbridgeprio br0 99999
brctl setbridgeprio br0 x
brctl setbridgeprio nope 1
brctl setfd br0 4
brctl setfd br0 1
brctl setfd br0 x
brctl setfd nope 4
brctl sethello br0 3
brctl sethello br0 11
brctl sethello br0 x
brctl setmaxage br0 10
brctl setmaxage br0 1
brctl setpathcost br0 v1 55
brctl setpathcost br0 v1 0
brctl setpathcost br0 v1 99999
brctl setpathcost br0 v2 1
brctl setpathcost br0 nope 1
brctl setpathcost nope v2 1
brctl setpathcost br0 v1 x
brctl setportprio br0 v1 5
brctl setportprio br0 v1 64
brctl setportprio br0 v2 5
brctl setportprio br0 v1 x
brctl showstp br0
brctl stp br0 off
brctl stp br0 maybe
brctl stp nope on
brctl stp v1 on
brctl stp br0
brctl delbr br0
brctl delbr v1
brctl delbr nope
