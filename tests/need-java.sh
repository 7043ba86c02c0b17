#!/bin/sh
# The PDF is judged by veraPDF, which is a Java program inside a Python package. As root a Java is installed when it is
# missing; otherwise we say what to do.
set -eu
if command -v java >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing a Java for the judge of PDFs"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends default-jre-headless >/dev/null
else
    echo "The tests of PDFs need Java: apt-get install default-jre-headless" >&2
    exit 1
fi
