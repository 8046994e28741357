@echo off
rem Does what psftp-batch.txt says with PuTTY's psftp, in the present directory.
rem Exit code 0: the server has the whole file. Anything else: it has not.
psftp -batch -P {{port}} -i "%~dp0{{slug}}_key.ppk" {{psftp}} -b "%~dp0psftp-batch.txt" {{slug}}@{{host}}
if errorlevel 1 (
  echo The file was NOT sent.
  exit /b 1
)
exit /b 0
