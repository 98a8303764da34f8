from fnnet.cli import main

main()
