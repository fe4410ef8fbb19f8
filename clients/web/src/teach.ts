/** /teach: prepare, start, teach, end. */
import { keepLinkToken } from './lib/auth'
import { startShell } from './lib/shell'
import { TeachPage } from './teach/page'

keepLinkToken()
startShell('teach')
void new TeachPage().start()
