"""The examples run as their READMEs say, on several engines, with one setting changed."""
