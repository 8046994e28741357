@echo off
rem Sends one file with WinSCP: send-winscp.cmd C:\export\ecr.txt
rem Exit code 0: the server has the whole file. Anything else: it has not; winscp.log says why.
setlocal
if "%~1"=="" (
  echo Name the file to send: send-winscp.cmd C:\export\ecr.txt
  exit /b 2
)
if not exist "%~1" (
  echo There is no file "%~1".
  exit /b 2
)
if not exist "%~dp0{{slug}}_key.ppk" (
  echo The private key "%~dp0{{slug}}_key.ppk" is missing. README.txt says where it comes from.
  exit /b 2
)
set "WINSCP=winscp.com"
if exist "%ProgramFiles%\WinSCP\WinSCP.com" set "WINSCP=%ProgramFiles%\WinSCP\WinSCP.com"
if exist "%ProgramFiles(x86)%\WinSCP\WinSCP.com" set "WINSCP=%ProgramFiles(x86)%\WinSCP\WinSCP.com"
"%WINSCP%" /ini=nul /log="%~dp0winscp.log" /logsize=2*10M /script="%~dp0winscp-script.txt" /parameter "%~f1" "%~dp0{{slug}}_key.ppk"
if errorlevel 1 (
  echo "%~1" was NOT sent. "%~dp0winscp.log" says why.
  exit /b 1
)
echo "%~1" was sent.
exit /b 0
